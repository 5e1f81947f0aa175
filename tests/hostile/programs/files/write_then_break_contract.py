# Writes, and then returns what is an error in the clothes of a result.
# ends: contract
# grant: write
def run(input):
    open("/docs/new.txt", "w").write("x")
    return {"error": "no such person"}
