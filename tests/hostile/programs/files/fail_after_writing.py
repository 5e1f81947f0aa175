# Changes everything and then fails: nothing of it may remain.
# ends: program
# says: on purpose
# grant: write
import os

def run(input):
    os.remove("/docs/a.txt")
    os.rename("/docs/sub", "/docs/moved")
    open("/docs/new.txt", "w").write("x")
    raise ValueError("on purpose")
