"""`metier serve`: the library over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

DEFAULT_LIBRARY = "capabilities"


expose_option = click.option(
    "--expose",
    type=click.Choice(["all", "nearest", "none"]),
    default="none",
    show_default=True,
    help="Which capabilities are MCP tools of their own, besides the three: all live ones, or those found of late.",
)
workers_option = click.option(
    "-w",
    "--workers",
    type=click.IntRange(0, 256),
    default=max(2, os.cpu_count() or 1),
    show_default="cores, at least 2",
    help="Processes that capabilities run in; 0 runs them in the server's own.",
)


@click.command("serve")
@click.option("--library", type=click.Path(path_type=Path), help="The library; ./capabilities by default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; others than loopback need METIER_TOKEN.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--name", "names", multiple=True, help="A further host name that clients may call the server by.")
@expose_option
@workers_option
@click.pass_context
def command(
    context: click.Context,
    library: Path | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    expose: Literal["all", "nearest", "none"],
    workers: int,
) -> None:
    """Offer the library over HTTP: a JSON API (GET / lists what there is), pages for people at /ui/, MCP at /mcp.

    Capabilities run in worker processes, so that one that crashes fails its run alone. Each does one
    run at a time: more of them help where runs wait for other servers.

    With METIER_TOKEN in the environment, every request must carry it as `Authorization: Bearer …`; a browser asks for
    it once.
    """
    from metier.runtime import Runtime
    from metier.web.server import serve

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with Runtime.open(library_path(context, library), announce=tell, workers=workers) as runtime:
        serve(
            runtime,
            host=host,
            port=port,
            token=os.environ.get("METIER_TOKEN") or None,
            names=names,
            expose=expose,
            ready=lambda address: tell(f"Metier serves {runtime.library.path} at {address}  (Ctrl-C ends it)"),
        )


def library_path(context: click.Context, given: Path | None) -> Path:
    """The library that a command is about: its own option, the group's, METIER_LIBRARY, ./capabilities."""
    group = getattr(context.obj, "library", context.obj)
    chosen = given or (group if isinstance(group, str | Path) else None)
    return Path(chosen or os.environ.get("METIER_LIBRARY") or DEFAULT_LIBRARY)
