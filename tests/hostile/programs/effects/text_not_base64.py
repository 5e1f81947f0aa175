# Writes a file from base64 that is none, in ways that decoders trip over.
# ends: ran
# says: ["invalid", "invalid", "invalid", "invalid"]
# grant: write
import json
import wit_world

def run(input):
    texts = ["é", "A", "====", "AA\n=="]
    requests = [json.dumps({"op": "files.write", "path": "/docs/new.bin", "base64": text}) for text in texts]
    return [json.loads(wit_world.host_call(request)).get("kind") for request in requests]
