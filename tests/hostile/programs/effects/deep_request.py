# Makes requests nested deeper than any parser's stack.
# ends: ran
# says: ["invalid", "invalid"]
import json
import wit_world

def run(input):
    deep = ['{"op": ' + "[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000]
    return [json.loads(wit_world.host_call(text))["kind"] for text in deep]
