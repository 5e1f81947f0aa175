# Replaces builtins that the engine itself needs to report a failure.
# ends: program|trap|memory
import builtins

def run(input):
    for name in ("str", "repr", "type", "isinstance", "len", "print", "Exception", "BaseException", "callable", "getattr"):
        setattr(builtins, name, lambda *a, **k: (_ for _ in ()).throw(RuntimeError("patched")))
    raise ValueError("what now")
