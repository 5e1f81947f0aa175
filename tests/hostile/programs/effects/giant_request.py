# Makes a request beyond every limit.
# ends: ran
# says: "too_large"
import json
import wit_world

def run(input):
    return json.loads(wit_world.host_call('{"op": "' + "x" * 2_000_000 + '"}'))["kind"]
