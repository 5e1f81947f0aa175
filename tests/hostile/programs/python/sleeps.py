# Sleeps for a century at a time.
# ends: time|fuel
# limits: seconds=0.2 fuel=10**17
import time

def run(input):
    while True:
        time.sleep(10**9)
