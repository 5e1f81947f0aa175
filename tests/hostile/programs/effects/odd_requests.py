# Makes requests that two parsers could read in two ways.
# ends: ran
# says: ["denied", "invalid"]
# grant: none
import json
import wit_world

REQUESTS = [
    '{"op": "files.stat", "op": "files.read", "path": "/docs/a.txt"}', '[]', '"files.read"', "null", "", "{}", "{\"op\": null}",
    '{"op": {"op": "files.read"}}', '{"op": "files.read"}', '{"op": "files.read", "path": []}', '{"op": "FILES.READ", "path": "/docs/a.txt"}',
    '{"op": "files.read\\u0000", "path": "/docs/a.txt"}', '{"op": "__class__"}', '{"op": "files.read", "path": NaN}',
    '{"op": "files.read", "path": 1e999}', '{"op": "files.read", "path": ' + "9" * 10_000 + "}", '{"op": "files.read", "path": "\\ud800"}',
    "\ufeff{}", '{"op": "files.read", "path": "/docs/a.txt"} {"op": "files.remove"}', "{'op': 'files.read'}",
]

def run(input):
    return sorted({json.loads(wit_world.host_call(request))["kind"] for request in REQUESTS})
