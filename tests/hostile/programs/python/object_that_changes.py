# Returns an object that is another one each time it is looked at.
# ends: ran|program|contract
class Shifty(dict):
    looks = 0
    def items(self):
        Shifty.looks += 1
        return iter([("error", "x")] if Shifty.looks > 1 else [("fine", 1)])
    def __iter__(self):
        return iter(["error"])

def run(input):
    return Shifty(a=1)
