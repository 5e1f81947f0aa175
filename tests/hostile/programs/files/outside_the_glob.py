# Writes beside what its grant names, and reads what lies beside it.
# ends: ran
# says: []
# grant: narrow
import os

def run(input):
    got = []
    for path in ("/docs/a.txt", "/docs/b.txt", "/docs/out/x.sh", "/docs/out/deep/x.txt", "/docs/out/../a.txt", "/docs/sub/b.txt", "/docs/out", "/docs/out/x.txt/y.txt"):
        try:
            with open(path, "w") as file:
                file.write("owned")
            got.append(path)
        except OSError:
            pass
    for change in (lambda: os.remove("/docs/a.txt"), lambda: os.rename("/docs/a.txt", "/docs/out/a.txt"), lambda: os.rename("/docs/sub", "/docs/out/sub"),
                   lambda: os.rmdir("/docs/sub"), lambda: os.mkdir("/docs/new"), lambda: open("/docs/sub/b.txt").read(), lambda: os.truncate("/docs/a.txt", 0)):
        try:
            got.append(repr(change()))
        except OSError:
            pass
    return got
