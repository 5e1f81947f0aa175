# Fails with a message of ten megabytes.
# ends: output|fuel
def run(input):
    raise ValueError("x" * 10_000_000)
