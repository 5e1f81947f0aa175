"""Send one request to an HTTP API."""

import json
import urllib.parse

import host


def run(input: dict) -> dict:
    method, body = input.get("method", "GET"), input.get("body")
    if method == "GET" and body is not None:
        raise host.Error("a GET request has no body; use POST", kind="invalid_input")
    headers = {"Accept": "application/json"} | input.get("headers", {})
    if body is not None and not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False)
        headers = {"Content-Type": "application/json"} | headers
    response = host.http_request(method, with_query(input["url"], input.get("query", {})), headers, body)
    content_type = response["headers"].get("content-type", "")
    return {
        "status": response["status"],
        "url": response["url"],
        "content_type": content_type,
        "body": content(response, content_type),
    }


def with_query(url: str, query: dict) -> str:
    """The URL with these parameters after those that it has; a list gives its parameter once for each item."""
    pairs = [(name, item) for name, value in query.items() for item in (value if isinstance(value, list) else [value])]
    if not pairs:
        return url
    url, hash_sign, fragment = url.partition("#")
    separator = "&" if "?" in url else "?"
    return url + separator + urllib.parse.urlencode([(n, spelled(v)) for n, v in pairs]) + hash_sign + fragment


def spelled(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def content(response: dict, content_type: str) -> object:
    """The body as JSON where it says that it is some, else as text."""
    if "body" not in response:
        raise host.Error(f"the answer is neither text nor JSON, but {content_type or 'binary'}", kind="not_text")
    kind = content_type.partition(";")[0].strip().lower()
    if response["body"] and (kind == "application/json" or kind.endswith("+json")):
        try:
            return json.loads(response["body"])
        except ValueError:
            return response["body"]
    return response["body"]
