# Looks at the clock until its deadline.
# ends: time
# limits: seconds=0.2 fuel=10**17
import time

def run(input):
    while time.monotonic() < 10**12:
        pass
