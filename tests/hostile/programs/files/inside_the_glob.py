# Writes what it may, through a path that goes astray before it comes back.
# ends: ran
# grant: narrow
# leaves: out/x.txt=fine
def run(input):
    with open("/docs/sub/../out/./x.txt", "w") as file:
        file.write("fine")
    return True
