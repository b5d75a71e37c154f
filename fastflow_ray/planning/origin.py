"""What a generation's plan is drawn up from: what was known under its key when it began, or what a neighbouring key
lends it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.counted import counted

BORROWED = 0.5  # of a full run: what a neighbour's knowledge weighs for a key that has none of its own


@dataclass(frozen=True)
class Origin:
    """Stays as it is while the generation teaches, so that an interrupted one can go on from the same."""

    known: TrajectoryTable  # under the key itself, or under its lender
    lender: str | None = None  # the neighbouring key; None: the key has knowledge of its own, or there is no neighbour

    @classmethod
    def at_beginning(cls, known: TrajectoryTable, neighbour: tuple[str, TrajectoryTable] | None) -> Origin:
        """Of a generation that begins now; the table is copied. A key that knows nothing begins from its neighbour."""
        lender, table = (None, known) if known.products.weight or neighbour is None else neighbour
        return cls(copy.deepcopy(table), lender)

    @classmethod
    def of_interrupted(cls, known: TrajectoryTable, state: Mapping[str, Any]) -> Origin:
        """Of one that goes on; raises KeyError or ValueError for an unsound state, or one of another grid."""
        table = TrajectoryTable.from_dict(state["origin"])
        if (table.steps, table.grid) != (known.steps, known.grid):
            raise ValueError("the plan was drawn up for another grid")
        return cls(table, state["lender"])

    def state(self) -> dict[str, Any]:
        """What `of_interrupted` reads, as JSON values."""
        return {"origin": self.known.to_dict(), "lender": self.lender}

    @cached_property
    def table(self) -> TrajectoryTable:
        """What plans are drawn up from; a lender's counts for less than a key's own."""
        return self.known.borrowed(BORROWED) if self.lender else self.known

    @property
    def snapshot(self) -> str:
        """A digest of it for whoever reads the trace, with how much it knows and who lent it."""
        digest = hashlib.sha256(json.dumps(self.table.to_dict()).encode()).hexdigest()[:8]
        lender = f", lent by {self.lender}" if self.lender else ""
        runs, audits = counted(self.table.runs, "run"), counted(self.table.audits.most_audits, "audit")
        return f"{digest} ({runs}, {self.table.full_runs} full, {audits}{lender})"
