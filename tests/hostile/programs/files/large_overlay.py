# Writes many files that are together beyond the limit.
# ends: program
# grant: write
def run(input):
    for number in range(100):
        with open(f"/docs/{number}.bin", "wb") as file:
            file.write(b"x" * 100_000)
    return True
