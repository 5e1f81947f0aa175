# Replaces the functions of `host`, so that whoever calls them later gets its own.
# ends: ran
# says: "patched"
import host

def run(input):
    for name in dir(host):
        if not name.startswith("__"):
            setattr(host, name, lambda *a, **k: "patched")
    return host.call("anything")
