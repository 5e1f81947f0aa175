# Loads damaged bytecode, to crash the interpreter.
# ends: program|trap|memory|fuel
import marshal

def run(input):
    good = marshal.dumps(compile("x = [1, 2, 3]\ny = {'a': x}\n", "x", "exec"))
    for at in range(len(good)):
        for value in (0, 0x7F, 0xFF):
            try:
                exec(marshal.loads(good[:at] + bytes([value]) + good[at + 1 :]), {})
            except Exception:
                pass
    raise SystemExit("survived")
