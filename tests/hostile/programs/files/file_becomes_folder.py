# Puts a folder where the host has a file, which no commit can do in one step.
# ends: effects
# says: may not turn one into the other
# grant: write
import os

def run(input):
    os.remove("/docs/a.txt")
    os.mkdir("/docs/a.txt")
    return True
