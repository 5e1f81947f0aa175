# Collects a generator that never ends.
# ends: memory|fuel|program
import itertools

def run(input):
    return list(itertools.count())
