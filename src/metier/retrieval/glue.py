"""The words that tasks and summaries are wrapped in, which say nothing of what is wanted.

They were collected from how people ask and how tools are advertised; BM25 needs only the first list, as the rarity of
a word takes care of the others there. A mean of word embeddings has nothing of the kind.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

STOP_WORDS = frozenset(
    """
a about am an and any are as at be been by can could did do does for from had has have how i if in into is it its just
let like me my need of on or our please should so some than that the their them then there these they this to us want
was we were what when where which who will with would you your s t m d ll re ve
""".split()
)

_REQUESTS = """
additionally also assist assistance curious finally find give help helps information interested know look looking
planning recommend show suggest tell wondering
"""
_ADVERTISEMENTS = """
access ai allows api app assistant based companion comprehensive designed discover easily easy enable enables experience
explore get including instantly interact offer offering offers personalized platform plugin power powered provide
provides providing quickly seamlessly simple stay tool tools ultimate unlock use user users using various world
"""
GLUE = STOP_WORDS | frozenset(_REQUESTS.split()) | frozenset(_ADVERTISEMENTS.split())


def spaced(text: str) -> str:
    """`text` with camelCase taken apart."""
    return _CAMEL.sub(" ", text)


def content(text: str) -> str:
    """The words of `text` that carry its meaning, in lower case; all of it where it has no other."""
    chosen = []
    for word in spaced(text).split():
        lower = word.lower()
        first = _WORD.search(lower)
        if first and first.group() not in GLUE:
            chosen.append(lower)
    return " ".join(chosen) or text
