# Imports the host's own modules and looks for its files.
# ends: ran
# says: []
import os
import sys

def run(input):
    got = []
    sys.path[:0] = ["/", "/usr/lib/python3", "/work/main/src", "."]
    for name in ("metier", "metier.runner", "pip", "site", "sitecustomize"):
        try:
            got.append(repr(__import__(name)))
        except ImportError:
            pass
    for path in (sys.prefix, sys.executable or "/bin/python", os.__file__ or "/x", "/usr", "/home", "/root", "/work"):
        try:
            got += os.listdir(path)
        except OSError:
            pass
    return [name for name in got if "site" not in name]
