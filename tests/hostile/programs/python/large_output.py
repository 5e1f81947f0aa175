# Returns more than it may.
# ends: output
def run(input):
    return "x" * 10_000_000
