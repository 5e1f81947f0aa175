# Replaces modules that the engine works with.
# ends: program|contract|trap|ran

import sys

def run(input):
    for name in list(sys.modules):
        if name not in ("builtins", "sys"):
            sys.modules[name] = None
    sys.meta_path.clear()
    return "still here"
