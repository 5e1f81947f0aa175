# Lists its root to find links, pipes and devices of the host by name.
# ends: ran
# says: ["a.txt", "out", "sub"]
# grant: read
import os

def run(input):
    return sorted(name for name in os.listdir("/docs") if os.path.exists("/docs/" + name))
