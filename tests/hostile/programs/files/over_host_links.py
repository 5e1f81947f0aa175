# Writes over links, pipes and devices of the host, so that the commit would go through them.
# ends: ran|effects
# grant: write
import os

def run(input):
    got = []
    for name in ("link.txt", "absolute.txt", "hard.txt", "zero", "pipe", "device", "self", "folder", "circle", "folder/new.txt", "self/mem"):
        for write in (lambda: open("/docs/" + name, "w").write("owned"), lambda: os.mkdir("/docs/" + name), lambda: os.rename("/docs/a.txt", "/docs/" + name)):
            try:
                got.append([name, repr(write())])
                break
            except OSError:
                pass
    return len(got) >= 0
