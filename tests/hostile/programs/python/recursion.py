# Recurses with the recursion limit out of the way.
# ends: program|stack|memory|trap
import sys

def run(input):
    sys.setrecursionlimit(10**9)
    def f(n):
        return f(n + 1)
    return f(0)
