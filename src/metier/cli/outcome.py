"""What `add`, `edit` and `rebuild` share: how the end of a submission is said."""

from __future__ import annotations

from metier.cli import Cli
from metier.cli.output import note, print_json
from metier.errors import ApprovalPending, LibraryError
from metier.outcomes import Mutated, NotMutated, Waits


def say_published(cli: Cli, outcome: Mutated | Waits | NotMutated, what: str) -> None:
    """Prints what was published.

    Raises:
        ApprovalPending: it waits for a person.
        LibraryError: `what` was not published; the findings say why.
    """
    if isinstance(outcome, Waits):
        asks = ", ".join(outcome.beyond)
        raise ApprovalPending(
            f"{outcome.capability} waits for approval of: {asks} (metier approve {outcome.capability})"
        )
    if isinstance(outcome, NotMutated):
        raise LibraryError(f"{what} was not added:\n" + "\n".join(f"  {finding}" for finding in outcome.findings))
    if cli.as_json:
        print_json({"id": outcome.capability.id, "version": outcome.capability.version})
    else:
        note(f"published {outcome.capability.name}")
