# Recurses through C code, where frames are larger.
# ends: program|stack|memory|trap|ran
import functools
import sys

def run(input):
    sys.setrecursionlimit(10**9)
    value = []
    for _ in range(100_000):
        value = [value]
    try:
        repr(value)
    except RecursionError:
        pass
    f = functools.reduce(lambda f, _: (lambda: f()), range(100_000), lambda: 1)
    class Deep:
        def __getattr__(self, name):
            return getattr(self, name + "x")
        def __hash__(self):
            return hash((self,))
    try:
        hash(Deep())
    except RecursionError:
        pass
    return f()
