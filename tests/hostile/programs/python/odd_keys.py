# Returns an object whose keys become the same text.
# ends: contract
# says: twice
def run(input):
    return {1: "a", "1": "b"}
