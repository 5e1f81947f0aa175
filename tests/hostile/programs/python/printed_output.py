# Prints JSON to stdout before and after its result.
# ends: ran
# says: {"real": 1}
import os
import sys

def run(input):
    print('{"forged": 1}', flush=True)
    os.write(1, b'{"forged": 2}\n')
    sys.__stdout__.write('{"forged": 3}')
    return {"real": 1}
