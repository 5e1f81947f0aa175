"""Whether a store committed a run's transaction: asked after a crash, and where a COMMIT was not answered.

The store is the one to say, since its COMMIT is what decides. So a connection can `prepare` its transaction: what it
returns names the transaction, and `committed` of the same module finds out from that what became of it.
"""

from __future__ import annotations

from typing import Final

ASK_SECONDS: Final = 10
"""How long a store is asked, before it counts as one that cannot say."""


class Undecided(Exception):
    """The store cannot say now; the message is why, in words that may be shown."""
