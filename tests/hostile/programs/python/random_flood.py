# Asks for a gigabyte of random bytes at once.
# ends: trap|memory|program
import os

def run(input):
    return len(os.urandom(10**9))
