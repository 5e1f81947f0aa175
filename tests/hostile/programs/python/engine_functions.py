# Calls the imports of the engine directly, with more than they expect.
# ends: output|trap
import wit_world

def run(input):
    for call in (lambda: wit_world.sleep(2**64 - 1), lambda: wit_world.sleep(-1), lambda: wit_world.host_call("\x00" * 10), lambda: wit_world.host_call("\ud800")):
        try:
            call()
        except Exception:
            pass
    wit_world.write_stderr("x" * 20_000_000)
    return "not reached"
