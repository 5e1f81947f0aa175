# Takes the names under which a commit might stage its files.
# ends: ran
# says: true
# grant: write
# leaves: x.txt=x .x.txt.metier-1=mine .x.txt.tmp=mine
def run(input):
    for name, text in ((".x.txt.metier-1", "mine"), ("x.txt", "x"), (".x.txt.tmp", "mine")):
        with open("/docs/" + name, "w") as file:
            file.write(text)
    return True
