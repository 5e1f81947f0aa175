"""One capability: what it promises, what it may do, where it came from; and what a person can do about it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metier.approval import who
from metier.capability import Capability
from metier.changes import changed
from metier.errors import LibraryError, UnknownCapability, UsageError
from metier.example_check import ExampleCheck
from metier.library import Artifact
from metier.lineage import children
from metier.outcomes import Failed, Ran
from metier.web.pages.schema_form import form_fields, form_value
from metier.web.pages.side_by_side import side_by_side
from metier.web.pages.site import Form, Refused, Site, number

LATEST_RUNS = 10


class CapabilityPages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime

    def capability(self, request: Request) -> Response:
        return self._shown(request)

    def diff(self, request: Request) -> Response:
        """What changed from one version to another; of this capability, or `from` any other."""
        id, library = request.path_params["id"], self._runtime.library
        versions = library.versions(id)
        new = library.load(id, number(request, "to", versions[-1].version))
        old = self._before(request, new.capability)
        changes = changed(old, new) if old is not None else {}
        return self._site.page(
            request,
            "diff",
            versions=versions,
            old=old.capability if old else None,
            new=new.capability,
            parts=[(name, side_by_side(was, now)) for name, (was, now) in changes.items()],
        )

    def run(self, request: Request, form: Form) -> Response:
        """The capability once, on what the form says; the page shows how it ended."""
        capability = self._wanted(request)
        try:
            value = form_value(capability.input_schema, form)
        except UsageError as error:
            return self._shown(request, given=form, problem=str(error))
        if capability.live:
            outcome = self._runtime.execute_current(capability, value)
        elif capability.status == "superseded":
            outcome = self._runtime.execute(capability, value)
        else:
            raise Refused(409, f"{capability.name} is {capability.status}; it cannot be run")
        return self._shown(request, given=form, outcome=outcome)

    def examples(self, request: Request, form: Form) -> Response:
        """The frozen examples once more, on copies of the data."""
        return self._shown(request, checked=ExampleCheck(self._runtime).problems(self._wanted(request)))

    def change(self, request: Request, form: Form) -> Response:
        """What a person decides: to pin, retire, restore or roll back."""
        id, runtime = request.path_params["id"], self._runtime
        path = f"/capabilities/{runtime.library.get(id).id}"
        match form.get("change"):
            case "pin" | "unpin" as wanted:
                runtime.library.pin(id, pinned=wanted == "pin")
                return self._site.back(path, f"{wanted}ned")
            case "retire":
                runtime.lifecycle.set_status(id, "retired", f"by {who()}")
                return self._site.back(path, "retired")
            case "restore":
                runtime.lifecycle.set_status(id, "active", f"by {who()}")
                return self._site.back(path, "restored")
            case "roll_back":
                version = form.get("version", "")
                if not version.isascii() or not version.isdecimal():
                    raise Refused(400, "a version is a number")
                runtime.lifecycle.roll_back(id, int(version[:10]), who())
                return self._site.back(path, "rolled_back")
            case _:
                raise Refused(400, "there is no such change")

    def _wanted(self, request: Request) -> Capability:
        version = number(request, "version", 0)
        return self._runtime.library.get(request.path_params["id"], version or None)

    def _before(self, request: Request, new: Capability) -> Artifact | None:
        """What a version is compared with: the one that is named, or what it was made from."""
        library = self._runtime.library
        chosen = number(request, "from", 0)
        if chosen:
            return library.load(new.id, chosen)
        if new.parent is None:
            return library.load(new.id, new.version - 1) if new.version > 1 else None
        id, _, version = new.parent.partition("@")
        try:
            return library.load(id, int(version))
        except UnknownCapability:  # in another library, or removed
            return None

    def _shown(
        self,
        request: Request,
        *,
        given: Form | None = None,
        problem: str | None = None,
        outcome: Ran | Failed | None = None,
        checked: list[str | None] | None = None,
    ) -> Response:
        runtime, wanted = self._runtime, self._wanted(request)
        library = runtime.library
        current = library.get(wanted.id)
        versions = library.versions(wanted.id)
        example = next((e.input for e in wanted.examples if e.error is None), None)
        return self._site.page(
            request,
            "capability",
            c=wanted,
            current=current,
            versions=versions,
            children=children(library, wanted.id),
            moves=runtime.journal.evidence.transitions(wanted.id),
            failures=runtime.journal.evidence.failures(wanted.id),
            runs=runtime.journal.recent(LATEST_RUNS, capability=wanted.id),
            solved=runtime.memory.counts().get(wanted.id, 0),
            may=wanted.permissions.sentences(),
            refused=wanted.permissions.beyond(runtime.settings.policy),
            source=self._source(wanted),
            fields=form_fields(wanted.input_schema, example, given),
            problem=problem,
            outcome=outcome,
            failed=isinstance(outcome, Failed),
            checked=checked,
        )

    def _source(self, capability: Capability) -> dict[str, Any] | None:
        """The source files as texts; None where they cannot be read."""
        try:
            source = self._runtime.library.load(capability.id, capability.version).source
        except LibraryError:
            return None
        return {path: content.decode("utf-8", "replace") for path, content in sorted(source.items())}
