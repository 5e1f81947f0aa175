"""A corpus of seeded faults: right programs, and what goes wrong in them."""

from __future__ import annotations

from tests.mutation.faults.others import OTHERS
from tests.mutation.faults.pure import PURE
from tests.mutation.faults.reads import READS
from tests.mutation.faults.writes import WRITES

BASES = (*PURE, *READS, *WRITES, *OTHERS)
