# Forges the answers of its host for itself; what the host did is not changed by it.
# ends: ran
# says: "mine"
import host
import json
import wit_world

def run(input):
    wit_world.host_call = lambda request: '{"ok": {"text": "mine"}}'
    return host.request("files.read", path="/docs/a.txt")["text"]
