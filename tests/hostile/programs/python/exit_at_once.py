# Prints an output and leaves without any clean-up.
# ends: program|trap
import os

def run(input):
    os.write(1, b'{"forged": 1}')
    os._exit(0)
