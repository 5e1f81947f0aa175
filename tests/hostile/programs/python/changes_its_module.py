# Leaves values in every module, to find them again in the next run.
# ends: ran
# says: []
import sys

def run(input):
    found = [name for name, module in sys.modules.items() if getattr(module, "left_behind", None)]
    for module in list(sys.modules.values()):
        try:
            module.left_behind = True
        except Exception:
            pass
    return found
