# Fails, and prints something in the place of its error afterwards.
# ends: program|trap
import atexit
import sys

class Late:
    def __del__(self):
        sys.stderr.write('{"error": "late", "kind": "late"}\n')

def run(input):
    atexit.register(lambda: sys.stderr.write('{"error": "at exit", "kind": "late"}\n'))
    run.late = Late()
    raise ValueError("real")
