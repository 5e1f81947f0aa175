# Runs code while the collector and finalizers do, again and again.
# ends: ran|program|fuel|time|memory|stack
import gc
import weakref

class Zombie:
    kept = []
    def __del__(self):
        Zombie.kept.append(weakref.ref(Zombie()))
        if len(Zombie.kept) > 10_000:
            raise SystemExit(0)

def run(input):
    gc.set_threshold(1, 1, 1)
    Zombie()
    for _ in range(1000):
        gc.collect(0)
        gc.get_objects()[-1]
    return "survived"
