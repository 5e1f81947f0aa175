# Returns a value that holds itself.
# ends: program
def run(input):
    value = {}
    value["self"] = value
    return value
