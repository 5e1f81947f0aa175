# Returns half of a surrogate pair.
# ends: program
def run(input):
    return {"\ud800": "\udfff"}
