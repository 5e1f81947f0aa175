# Makes empty files without end.
# ends: effects|program
# grant: write
def run(input):
    number = 0
    while True:
        open(f"/docs/{number}", "w").close()
        number += 1
