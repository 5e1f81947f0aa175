# Removes and moves links of the host that it cannot see.
# ends: ran
# says: []
# grant: write
import os

def run(input):
    got = []
    for name in ("link.txt", "hard.txt", "pipe", "device", "folder", "circle", "folder/secret.txt"):
        for change in (os.remove, os.rmdir, lambda path: os.rename(path, "/docs/mine")):
            try:
                change("/docs/" + name)
                got.append(name)
            except OSError:
                pass
    return got
