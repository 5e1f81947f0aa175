# Unpickles what calls os.system and what asks for all memory.
# ends: program|memory|trap
import os
import pickle

class Run:
    def __reduce__(self):
        return os.system, ("touch /tmp/escaped",)

def run(input):
    try:
        pickle.loads(pickle.dumps(Run()))
    except OSError:
        pass
    return len(pickle.loads(b"\x8e" + (2**40).to_bytes(8, "little") + b"."))
