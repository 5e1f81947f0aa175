# Has constants that take a compiler for ever to fold.
# ends: ran|unbuilt|fuel|memory|time|program
# limits: seconds=2
def run(input):
    return len(str(((2**1000)**1000)**10)) if input else ("x" * 4000) * 0
