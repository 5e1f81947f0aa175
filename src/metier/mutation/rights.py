"""The gate of permissions: a draft asks for what its examples need, and no more.

Each thing that it asks for is taken away in turn, and the examples are tried without it. Where all come out the same,
nothing shows that it is needed. Where they come out otherwise but well, an error was swallowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metier.mutation.trials import Trial, again, essence
from metier.outcomes import Ran
from metier.permissions import FilePermission, Permissions, glob_matches
from metier.prompts import clipped
from metier.runner import Loaded, Runner
from metier.schemas import compact

READS = ("get", "list", "search", "find", "show", "count", "read", "compute", "calculate", "convert", "check", "lookup")
"""What an id begins with that says that nothing is changed."""


@dataclass(frozen=True, slots=True)
class Less:
    """What a draft asks for, less one thing."""

    permissions: Permissions
    taken: str
    """What is missing, in plain words."""
    instead: str
    """What to ask for, if it is not needed."""
    file: FilePermission | None = None
    """The one file that cannot be read then."""


def check_rights(runner: Runner, loaded: Loaded, trials: Sequence[Trial], *, named: bool = True) -> list[str]:
    """That each permission is needed by an example, and that the effects are named as they are, also by the id where
    it is the author's (`named`)."""
    contract = loaded.capability
    asks = contract.permissions
    findings = []
    if named and contract.effects == "write" and _can_write(asks) and contract.id.partition("_")[0] in READS:
        findings.append(
            f"the id {contract.id!r} says that it reads, and effects is 'write': change nothing, or choose an id that "
            "says what it changes (update_…, add_…, delete_…)"
        )
    if contract.effects == "write" and not _can_write(asks):
        findings.append("effects is 'write', but its permissions let it change nothing: make it 'read' or 'pure'")
    if contract.effects == "read" and asks == Permissions():
        findings.append("effects is 'read', but it asks for nothing to read: make it 'pure'")
    for less in _each_less(asks):
        findings += _not_needed(runner, loaded, trials, less)
    for item in asks.files:
        if "*" in item.path:
            findings += _too_wide(runner, loaded, trials, item)
    return findings


def _can_write(asks: Permissions) -> bool:
    return (
        any(f.access == "write" for f in asks.files)
        or any(set(verbs) - {"select"} for s in asks.sql for verbs in s.tables.values())
        or any(set(h.methods) - {"GET", "HEAD"} for h in asks.http)
        or bool(asks.call)
    )


def _not_needed(runner: Runner, loaded: Loaded, trials: Sequence[Trial], less: Less) -> Iterator[str]:
    """Why a permission is too much, or what is wrong with what it is needed for."""
    needed = False
    for trial in trials:
        without = again(runner, loaded, trial, grant=less.permissions)
        if essence(without) == essence(trial.outcome):
            continue
        needed = True
        if less.file is None:
            break
        if isinstance(without, Ran) and isinstance(trial.outcome, Ran) and _is_there(less.file, trials):
            path = f"{less.file.root}/{less.file.path}"
            yield (
                f"when {path} cannot be read, it still returns {clipped(compact(without.output), 400)} for input "
                f"{clipped(compact(trial.example.input), 400)}, as though nothing were wrong: let the error through"
            )
            break
    if not needed:
        yield f"it asks to {less.taken}, but no example needs that: {less.instead}, or add an example that does"


def _is_there(file: FilePermission, trials: Sequence[Trial]) -> bool:
    """Whether every example that ends well has the file, so that it is not one that may be missing."""
    path = f"{file.root}/{file.path}"
    good = [trial for trial in trials if isinstance(trial.outcome, Ran)]
    return all(path in trial.read or path in _laid(trial) for trial in good)


def _laid(trial: Trial) -> set[str]:
    return {path.lstrip("/") for path in trial.example.fixtures or {}}


def _each_less(asks: Permissions) -> Iterator[Less]:
    """The permissions, each time less one thing that a rehearsal can show to be needed."""
    leave_out = "leave it out of permissions"
    for number, file in enumerate(asks.files):
        others = (*asks.files[:number], *asks.files[number + 1 :])
        path = f"{file.root}/{file.path}"
        one = file if "*" not in file.path else None
        yield Less(asks.model_copy(update={"files": others}), f"{file.access} {path}", leave_out, one)
        if file.access == "write":
            reading = file.model_copy(update={"access": "read"})
            instead = "ask to read it" + ("" if len(asks.files) > 1 else ' and make effects "read"')
            yield Less(asks.model_copy(update={"files": (*others, reading)}), f"write {path}", instead)
    for number, http in enumerate(asks.http):
        if set(http.methods) <= {"GET", "HEAD"}:  # nothing else is sent in a rehearsal
            others_ = (*asks.http[:number], *asks.http[number + 1 :])
            yield Less(asks.model_copy(update={"http": others_}), http.sentence(), leave_out)
    for number, store in enumerate(asks.sql):
        for table in store.tables:
            rest = {name: verbs for name, verbs in store.tables.items() if name != table}
            stores = (*asks.sql[:number], store.model_copy(update={"tables": rest}), *asks.sql[number + 1 :])
            taken = f"{', '.join(store.tables[table])} {table} in {store.store}"
            yield Less(asks.model_copy(update={"sql": stores}), taken, leave_out)
    for id in asks.call:
        if id != "*":
            yield Less(
                asks.model_copy(update={"call": tuple(c for c in asks.call if c != id)}), f"call {id}", leave_out
            )
    for name in asks.env:
        env = {key: value for key, value in asks.env.items() if key != name}
        yield Less(asks.model_copy(update={"env": env}), f"see {name} in the environment", leave_out)
    if asks.clock == "recorded":
        yield Less(asks.model_copy(update={"clock": "fixed"}), "read the real clock", leave_out)
    if asks.random == "recorded":
        yield Less(asks.model_copy(update={"random": "seeded"}), "have real random numbers", leave_out)


def _too_wide(runner: Runner, loaded: Loaded, trials: Sequence[Trial], item: FilePermission) -> Iterator[str]:
    """Where a pattern stands for files that could be named, because each example needs the same ones."""
    good = [trial for trial in trials if isinstance(trial.outcome, Ran)]
    seen = {path for trial in good for path in (*trial.read, *_laid(trial))}
    matching = sorted(
        p for p in seen if p.startswith(f"{item.root}/") and glob_matches(item.path, p[len(item.root) + 1 :])
    )
    if not 0 < len(matching) <= 3 or len(good) < 2:
        return
    asks = loaded.capability.permissions
    others = tuple(file for file in asks.files if file != item)

    def granted(paths: Sequence[str]) -> Permissions:
        named = [item.model_copy(update={"path": path.partition("/")[2]}) for path in paths]
        return asks.model_copy(update={"files": (*others, *named)})

    def same(trial: Trial, paths: Sequence[str]) -> bool:
        return essence(again(runner, loaded, trial, grant=granted(paths))) == essence(trial.outcome)

    if all(same(trial, matching) for trial in trials) and all(
        not same(trial, [other for other in matching if other != path]) for trial in good for path in matching
    ):
        yield (
            f"it asks to {item.access} {item.root}/{item.path}, but each example needs {' and '.join(matching)} and no "
            "other file: ask for that by name"
        )
