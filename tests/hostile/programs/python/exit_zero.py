# Prints an output and leaves with status 0.
# ends: program
# says: sys.exit
import sys

def run(input):
    print('{"forged": 1}', flush=True)
    sys.exit(0)
