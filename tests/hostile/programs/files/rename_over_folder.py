# Moves files over folders, folders over files, a folder into itself and the root away.
# ends: ran
# says: []
# grant: write
import os

def run(input):
    got = []
    for old, new in (("/docs/a.txt", "/docs/sub"), ("/docs/sub", "/docs/a.txt"), ("/docs/sub", "/docs/sub/deeper"), ("/docs", "/elsewhere"), ("/docs/sub", "/docs"),
                     ("/docs/a.txt", "/docs/a.txt/b"), ("/docs/a.txt", "/tmp/a.txt"), ("/docs/a.txt", "/docs/missing/a.txt"), ("/docs/sub/..", "/docs/x"), ("/docs/.", "/docs/y")):
        try:
            os.rename(old, new)
            got.append([old, new])
        except Exception:
            pass
    return got
