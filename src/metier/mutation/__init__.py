"""New capabilities: a model writes drafts, gates check the built artifact, one that passes is published."""

from metier.mutation.mutator import Demand, Mutator
from metier.mutation.pending import PendingDrafts, Waiting

__all__ = ["Demand", "Mutator", "PendingDrafts", "Waiting"]
