# Runs bytecode that no compiler makes, to read and write memory of the interpreter.
# ends: trap|program|fuel|memory|stack
def run(input):
    def f():
        return 1
    for fill in (b"\x64\xff", b"\x01\x00", b"\x7c\xff", b"\x53\x00", b"\xff\xff"):
        f.__code__ = f.__code__.replace(co_code=fill * 50, co_stacksize=0)
        try:
            f()
        except Exception:
            pass
    raise SystemExit("survived")
