"""Drafts that wait for a person: what they do, what they ask for, what they were tried on; and the decision."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metier import schemas
from metier.approval import who
from metier.capability import contract_json
from metier.errors import LibraryError, UsageError
from metier.library import Artifact, source_text
from metier.mutation.pending import Waiting, fingerprint
from metier.outcomes import Mutated, NotMutated, Waits
from metier.permissions import Permissions
from metier.web.pages.side_by_side import side_by_side
from metier.web.pages.site import Form, Refused, Site

EDITED = ("summary", "effects", "input_schema", "output_schema", "permissions", "examples")


class ApprovalPages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._runtime = site.runtime

    def approvals(self, request: Request) -> Response:
        return self._site.page(request, "approvals", waiting=self._runtime.pending().all())

    def approval(self, request: Request) -> Response:
        return self._shown(request, self._waiting(request))

    def decide(self, request: Request, form: Form) -> Response:
        """Approves or rejects the draft that the person has seen."""
        waiting = self._seen(request, form)
        if form.get("decision") == "reject":
            self._runtime.pending().remove(waiting.id)
            return self._site.back("/approvals", "rejected")
        if form.get("decision") != "approve":
            raise Refused(400, "the decision is to approve or to reject")
        outcome = self._runtime.mutator().approve(waiting.id, who(), seen=waiting)
        if isinstance(outcome, NotMutated):
            return self._shown(request, waiting, problem=outcome)
        return self._site.back(f"/capabilities/{outcome.capability.id}", "approved")

    def modify(self, request: Request, form: Form) -> Response:
        """The draft as the person has changed it, through the gates: it waits in its place, or is published if it asks
        for nothing any more."""
        waiting = self._seen(request, form)
        release = waiting.release
        try:
            fields = schemas.parse(form.get("contract", ""), what="the contract")
        except schemas.InvalidJson as error:
            return self._shown(request, waiting, problem=NotMutated(str(error), 0), edited=form)
        if not isinstance(fields, dict):
            raise Refused(400, "the contract is a JSON object")
        source = form.get("source", "").replace("\r\n", "\n")
        fields = {**fields, "id": waiting.id, "language": release.contract.language, "source": source}
        outcome = self._runtime.mutator().submit(fields, self._parent(waiting), who(), by_hand=True)
        match outcome:
            case Mutated():
                self._runtime.pending().remove(waiting.id)
                return self._site.back(f"/capabilities/{outcome.capability.id}", "approved")
            case Waits():
                return self._site.back(f"/approvals/{outcome.capability}", "modified")
            case NotMutated():
                return self._shown(request, waiting, problem=outcome, edited=form)

    def _waiting(self, request: Request) -> Waiting:
        try:
            return self._runtime.pending().get(request.path_params["id"])
        except UsageError as error:
            raise Refused(404, str(error)) from None

    def _seen(self, request: Request, form: Form) -> Waiting:
        """The draft that waits. Raises Refused where it is another one than the person has seen."""
        waiting = self._waiting(request)
        if form.get("seen") != fingerprint(waiting):
            raise Refused(409, "another draft has taken the place of the one that you saw; look at it first")
        return waiting

    def _parent(self, waiting: Waiting) -> Artifact | None:
        """What the draft was made from; None where that is nothing, or is gone."""
        id, _, version = (waiting.release.parent or "").partition("@")
        try:
            return self._runtime.library.load(id, int(version)) if id else None
        except LibraryError:
            return None

    def _shown(
        self, request: Request, waiting: Waiting, *, problem: NotMutated | None = None, edited: Form | None = None
    ) -> Response:
        parent, release = self._parent(waiting), waiting.release
        had = parent.capability.permissions if parent else Permissions()
        may = release.contract.permissions
        text = source_text(release.source)
        contract = {key: value for key, value in contract_json(release.contract).items() if key in EDITED}
        contract["examples"] = [*waiting.unfinished, *contract["examples"]]
        return self._site.page(
            request,
            "approval",
            status=409 if problem else 200,
            w=waiting,
            contract=release.contract,
            provenance=release.provenance,
            parent=parent.capability if parent else None,
            rows=side_by_side(source_text(parent.source), text) if parent else None,
            text=text,
            asks=_asks(had, may, waiting.beyond),
            given_up=[sentence for sentence in had.sentences() if sentence not in may.sentences()],
            seen=fingerprint(waiting),
            problem=problem,
            edited_source=edited.get("source", "") if edited else text,
            edited_contract=edited.get("contract", "")
            if edited
            else json.dumps(contract, indent=2, ensure_ascii=False),
            editable=len(release.source) == 1,
        )


def _asks(had: Permissions, may: Permissions, beyond: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each thing that a draft asks for: whether its parent has it, and whether that is what has to be decided on."""
    new = set(may.beyond(had))
    return [{"says": says, "new": says in new, "beyond": says in beyond} for says in may.sentences()]
