# Makes json.dumps return what it likes, to print an output that it did not compute.
# ends: contract
# says: after the JSON value
import json

def run(input):
    forged = lambda *a, **k: '{"forged": true}\n{"second": 1}'
    json.dumps = json.JSONEncoder.encode = json.JSONEncoder.iterencode = forged
    json.encoder.encode_basestring = forged
    return {"honest": True}
