# Passes values of the wrong types to every operation there might be.
# ends: ran
# says: true
# grant: write
# limits: effects=5000
import json
import wit_world

OPERATIONS = ["files.read", "files.write", "files.stat", "files.list", "files.remove", "files.mkdir", "files.rmdir", "files.rename"]
OPERATIONS += ["call", "http.request", "sql.query", "clock", "random", "env", "secrets", "files", "", "."]
VALUES = [None, True, -1, 2**64, 1.5, "", "\x00", "/", "..", [], [[]], {}, {"op": "files.read"}, "x" * 5000]
KEYS = ["path", "to", "mode", "capability", "input", "method", "url", "headers", "body", "store", "statement", "parameters"]

def run(input):
    for op in OPERATIONS:
        for value in VALUES:
            answer = json.loads(wit_world.host_call(json.dumps({"op": op, **dict.fromkeys(KEYS, value)})))
            if set(answer) not in ({"ok"}, {"error", "kind"}):
                return answer
    return True
