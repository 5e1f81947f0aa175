"""What `retire` and `restore` share: a capability's status set, and said."""

from __future__ import annotations

from metier.approval import who
from metier.capability import Status
from metier.cli import Cli
from metier.cli.output import note, opened, print_json


def set_status(cli: Cli, id: str, status: Status) -> None:
    """Gives the current version of a capability another status, and prints which it has now."""
    with opened(cli) as runtime:
        capability = runtime.lifecycle.set_status(id, status, f"by {who()}")
    if cli.as_json:
        print_json({"id": capability.id, "status": capability.status})
    else:
        note(f"{capability.name} is {capability.status}")
