"""What the shell completes: ids of capabilities, read from the names of folders alone."""

from __future__ import annotations

import os
from pathlib import Path

import click


def capability_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids in the library that begin with what is typed; none where there is no library."""
    library = Path(str(context.find_root().params.get("library") or "capabilities"))
    try:
        with os.scandir(library) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(incomplete)]
    except OSError:
        return []
    return sorted(name for name in names if (library / name / "meta.json").is_file())
