# Returns numbers that JSON does not have.
# ends: program
def run(input):
    return [float("nan"), float("inf")]
