"""Every error that Metier raises on purpose. What a model should see is a value instead: see `outcomes`.

MetierError                     exit status
├── UsageError                  2   an argument, a setting or an input file is wrong
├── LibraryError                1
│   ├── UnknownCapability       1   no such id, or no such version of it
│   ├── BrokenCapability        1   a folder of the library cannot be loaded
│   └── PublishConflict         1   another writer published meanwhile
├── RunFailed                   1   a capability ended with an error; carries the outcome
├── BuildError                  1   source that does not build; carries the compiler's words
├── InvalidModule               1   wasm that the sandbox does not admit
├── Overloaded                  1   too many runs wait already; later there is room again
├── ModelError                  1   the model's endpoint failed, or answered nonsense
├── ApprovalPending             3   a person has to decide first
└── SetupMissing                4   no model, engine or toolchain, and how to get it

Each message says what was wrong, where, and what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metier.outcomes import Failed


class MetierError(Exception):
    """Base of the tree. `exit_status` is what the command line ends with."""

    exit_status = 1


class UsageError(MetierError):
    exit_status = 2


class LibraryError(MetierError):
    pass


class UnknownCapability(LibraryError):
    pass


class BrokenCapability(LibraryError):
    pass


class PublishConflict(LibraryError):
    pass


class RunFailed(MetierError):
    """`outcome` is the `Failed` value that says how."""

    def __init__(self, outcome: Failed) -> None:
        said = f"{outcome.capability}: {outcome.error}"
        super().__init__(f"{said} ({outcome.consequence})" if outcome.consequence else said)
        self.outcome = outcome


class BuildError(MetierError):
    pass


class InvalidModule(MetierError):
    pass


class Overloaded(MetierError):
    pass


class ModelError(MetierError):
    pass


class ApprovalPending(MetierError):
    exit_status = 3


class SetupMissing(MetierError):
    exit_status = 4
