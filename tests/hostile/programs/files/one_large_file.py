# Writes one file beyond every limit.
# ends: program|memory
# grant: write
def run(input):
    with open("/docs/large.bin", "wb") as file:
        for _ in range(1000):
            file.write(b"x" * 100_000)
    return True
