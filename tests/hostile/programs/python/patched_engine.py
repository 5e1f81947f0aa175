# Reaches into the engine and makes it return two JSON values.
# ends: contract
# says: after the JSON value
import sys

def run(input):
    frame = sys._getframe()
    while frame:
        if "_encode" in frame.f_globals:
            frame.f_globals["_encode"] = lambda value: '{"a": 1} {"b": 2}'
        frame = frame.f_back
    return {}
