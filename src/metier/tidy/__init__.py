"""Tidying a library: what could go, and why; carried out only where it still holds, and always to be taken back."""

from metier.tidy.proposals import Proposal, Proposals
from metier.tidy.tidying import Done, Tidying

__all__ = ["Done", "Proposal", "Proposals", "Tidying"]
