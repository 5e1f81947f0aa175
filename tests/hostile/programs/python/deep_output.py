# Returns a value nested deeper than any reader's stack.
# ends: program|contract
def run(input):
    value = []
    for _ in range(500):
        value = [value]
    return value
