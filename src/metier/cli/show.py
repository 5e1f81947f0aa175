"""`metier show ID`: one capability, whole."""

from __future__ import annotations

import json

import click

from metier.capability import meta_json
from metier.cli import Cli
from metier.cli.completing import capability_ids
from metier.cli.output import print_json, say
from metier.errors import UsageError
from metier.library import Artifact, Library


def parse_name(name: str) -> tuple[str, int | None]:
    """`id` or `id@version`.

    Raises:
        UsageError: the version is no number.
    """
    id, at, version = name.partition("@")
    if at and not version.isdecimal():
        raise UsageError(f"{name!r}: a version is a number, as in {id}@1")
    return id, int(version) if at else None


@click.command("show")
@click.argument("name", metavar="ID[@VERSION]", shell_complete=capability_ids)
@click.option("--source", is_flag=True, help="Print the source alone.")
@click.pass_obj
def command(cli: Cli, name: str, source: bool) -> None:
    """Show a capability: contract, permissions in plain words, examples, source."""
    artifact = Library.open(cli.library).load(*parse_name(name))
    texts = {path: content.decode("utf-8", "replace") for path, content in sorted(artifact.source.items())}
    if source:
        say("\n".join(texts.values()), newline=False)
    elif cli.as_json:
        print_json(meta_json(artifact.capability) | {"source": texts})
    else:
        say(_page(artifact, texts))


def _page(artifact: Artifact, texts: dict[str, str]) -> str:
    c = artifact.capability
    made = f", {c.provenance.author} on {c.provenance.created[:10]}" if c.provenance else ""
    lines = [f"{c.name}  {c.language}, {c.effects}, {c.status}{', pinned' if c.pinned else ''}{made}", c.summary, ""]
    lines += [f"{'input':7} {json.dumps(c.input_schema, ensure_ascii=False)}"]
    lines += [f"{'output':7} {json.dumps(c.output_schema, ensure_ascii=False)}", ""]
    seen = c.provenance.gates if c.provenance else {}
    lines += ["checked", *(f"  {gate}: {what}" for gate, what in seen.items()), ""] if seen else []
    lines += ["may", *(f"  {ask}" for ask in c.permissions.sentences() or ["compute, and nothing else"]), ""]
    for e in c.examples:
        outcome = f"error {e.error.kind or ''}" if e.error else json.dumps(e.output, ensure_ascii=False)
        lines += [f"  {e.task or ''}", f"    {json.dumps(e.input, ensure_ascii=False)} → {outcome}"]
    for path, text in texts.items():
        lines += ["", f"src/{path}", text.rstrip()]
    return "\n".join(lines)
