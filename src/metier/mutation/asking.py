"""What drafts may ask for: the usual, which nobody has to be asked for, and what a person has to allow."""

from __future__ import annotations

from metier.approval import Approver, Decision, Request
from metier.capability import Contract
from metier.config import Policy
from metier.library import Artifact, source_text
from metier.permissions import Permissions


class Asking:
    """The operator's policy for drafts, and who is asked beyond it."""

    def __init__(self, policy: Policy, approver: Approver) -> None:
        self._policy = policy
        self._approver = approver

    def usual(self, parent: Artifact | None) -> Permissions:
        """What drafts get unasked, and what the parent reads.

        The parent's right to change things is not handed down: the model names the parent."""
        unasked = self._policy.unasked
        parents = parent.capability.permissions if parent else Permissions()
        reads = tuple(f.model_copy(update={"access": "read"}) for f in parents.files)
        return unasked.model_copy(update={"files": (*unasked.files, *reads), "call": (*unasked.call, *parents.call)})

    def grantable(self, parent: Artifact | None) -> Permissions:
        """What an author is shown: the usual, as far as the policy allows it at all."""
        usual = self.usual(parent)
        one_by_one = [
            *(Permissions(files=(f,)) for f in usual.files),
            *(Permissions(http=(h,)) for h in usual.http),
            *(Permissions(sql=(s,)) for s in usual.sql),
            *(Permissions(call=(c,)) for c in usual.call),
        ]
        within = [p for p in one_by_one if not p.beyond(self._policy)]
        return Permissions(
            files=tuple(f for p in within for f in p.files),
            http=tuple(h for p in within for h in p.http),
            sql=tuple(s for p in within for s in p.sql),
            call=tuple(c for p in within for c in p.call),
        )

    def beyond(self, contract: Contract, parent: Artifact | None) -> tuple[str, ...]:
        """What a draft asks for beyond the usual, in plain words."""
        return tuple(contract.permissions.beyond(self.usual(parent)))

    def shows_more(self, contract: Contract, parent: Artifact | None) -> bool:
        """Whether already a rehearsal would show the author, or somebody outside, what nobody has allowed yet. What a
        rehearsal writes is thrown away, so only what is read counts."""
        wants = contract.permissions
        files = tuple(f.model_copy(update={"access": "read"}) for f in wants.files)
        sql = tuple(s.model_copy(update={"tables": dict.fromkeys(s.tables, ("select",))}) for s in wants.sql)
        reads = wants.model_copy(update={"files": files, "sql": sql})
        return bool(reads.beyond(self.usual(parent)))

    def decide(self, contract: Contract, source: str, parent: Artifact | None) -> Decision:
        """Who says yes to what a draft asks for; the policy does where that is the usual."""
        beyond = self.beyond(contract, parent)
        if not beyond:
            return Decision(True, "policy")
        parent_source = source_text(parent.source) if parent else None
        return self._approver.decide(Request(contract, beyond, source, parent_source))
