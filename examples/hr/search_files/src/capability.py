"""Search files by name and content."""

import fnmatch
import os
import unicodedata
from collections.abc import Iterator

import host

DEFAULT_RESULTS = 20
LONGEST_EXCERPT = 160


def run(input: dict) -> dict:
    query, glob = plain(input["query"].strip()), input.get("glob", "*")
    if not query:
        raise host.Error("query has nothing to search for", kind="invalid_input")
    most = int(input.get("max_results", DEFAULT_RESULTS))
    found: list[dict] = []
    for path in files(input.get("folder", "")):
        if not (fnmatch.fnmatchcase(path, glob) or fnmatch.fnmatchcase(os.path.basename(path), glob)):
            continue
        if query in plain(os.path.basename(path)):
            found.append({"path": path, "line": 0, "excerpt": os.path.basename(path)})
        for number, line in enumerate(text_lines(path), start=1):
            if query in plain(line):
                found.append({"path": path, "line": number, "excerpt": excerpt(line, query)})
        if len(found) > most:
            break
    return {"matches": found[:most], "complete": len(found) <= most}


def files(folder: str) -> Iterator[str]:
    """The granted files beneath a folder, sorted by path; without a folder those of every root."""
    top = os.path.normpath("/" + folder)
    if not os.path.isdir(top):
        roots = ", ".join(name for name in os.listdir("/") if name != "tmp")
        raise host.Error(f'no folder "{folder}"; the roots are: {roots}', kind="not_found")
    paths = [os.path.join(place, name) for place, _, names in os.walk(top) for name in names]
    return iter(sorted(path.lstrip("/") for path in paths if not path.startswith("/tmp/")))


def text_lines(path: str) -> list[str]:
    """The lines of a text file; none where it is no text, or too large to be read."""
    try:
        with open("/" + path, "rb") as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return [] if "\0" in text else text.splitlines()


def excerpt(line: str, query: str) -> str:
    """The line, or that part of a long one which has the first match in its middle."""
    if len(line) <= LONGEST_EXCERPT:
        return line.strip()
    origins = [i for i, character in enumerate(line) for _ in plain(character)]
    start = max(0, origins[plain(line).find(query)] - LONGEST_EXCERPT // 2)
    cut = line[start : start + LONGEST_EXCERPT]
    return ("…" if start else "") + cut.strip() + ("…" if start + LONGEST_EXCERPT < len(line) else "")


def plain(text: str) -> str:
    """Without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
