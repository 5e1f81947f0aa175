"""The one door for effects: requests that a program makes as JSON, each checked against its grant, bounded, recorded.

One file an effect; each registers operations by name. An answer is `{"ok": value}` or `{"error": words, "kind": kind}`;
a denial is an answer like any other and costs one effect.
"""

from __future__ import annotations

from metier.effects.call import OPERATIONS as CALL
from metier.effects.door import Context, Door, EffectError, Operation
from metier.effects.files import OPERATIONS as FILES
from metier.effects.http import OPERATIONS as HTTP
from metier.effects.http import HttpService
from metier.effects.sql import OPERATIONS as SQL
from metier.effects.sql import SqlSession, SqlStores

INSIDE: dict[str, Operation] = {**FILES, **CALL}
OUTSIDE: dict[str, Operation] = {**HTTP, **SQL}

__all__ = ["INSIDE", "OUTSIDE", "Context", "Door", "EffectError", "HttpService", "Operation", "SqlSession", "SqlStores"]
