# Fills its private folder, which is memory of its own.
# ends: memory|program
def run(input):
    number = 0
    while True:
        with open(f"/tmp/{number}", "wb") as file:
            file.write(b"x" * 1_000_000)
        number += 1
