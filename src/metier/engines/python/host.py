"""What a Python capability can ask of its host: `import host`.

Files need nothing of this: `open`, `os`, `pathlib` and the rest work on the granted roots.
"""

import json

import wit_world

__all__ = ["Error", "call", "http_get", "http_request", "sql"]


class Error(Exception):
    """A failure with a kind. Raise it to fail with that kind; the host's refusals and failures arrive as it."""

    def __init__(self, message="", kind="error"):
        super().__init__(message)
        self.kind = kind


def call(capability, input=None):
    """Run another capability and return its output."""
    return _request("call", capability=capability, input={} if input is None else input)


def http_get(url, headers=None):
    """GET a URL. Returns the same as `http_request`."""
    return http_request("GET", url, headers)


def http_request(method, url, headers=None, body=None):
    """Send a request. A `dict` or `list` body is sent as JSON. Returns the response that the host gives, a dict."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body, ensure_ascii=False)
        headers = {"Content-Type": "application/json"} | dict(headers or {})
    elif isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode()
    return _request("http.request", method=method, url=url, headers=dict(headers or {}), body=body)


def sql(store, statement, parameters=()):
    """Run one SQL statement on a store that the operator named. Returns the host's result."""
    parameters = parameters if isinstance(parameters, dict) else list(parameters)
    return _request("sql.query", store=store, statement=statement, parameters=parameters)


before_request = []  # what has to be brought up to date before another program may look


def _request(op, **fields):
    for prepare in before_request:
        prepare()
    return request(op, **fields)


def request(op, **fields):
    """Pass one request through the effect door. Returns the value, or raises `Error`."""
    text = _encode({"op": op, **fields})
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate crosses only when escaped
        text = json.dumps({"op": op, **fields})
    reply = json.loads(wit_world.host_call(text))
    if "error" in reply:
        raise Error(reply["error"], reply.get("kind", "error"))
    return reply["ok"]


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
