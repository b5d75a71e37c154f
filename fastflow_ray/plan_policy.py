"""What one generation's plan is drawn up from, what may change it on the way, and what the generation teaches."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from fastflow_ray.bandit.audits import boldness
from fastflow_ray.bandit.candidates import Candidate
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.turns import chance, lot
from fastflow_ray.learned_plan import SETTLED, foreseen_error, learn, learn_misses, measured_growth
from fastflow_ray.pace import Pace
from fastflow_ray.plan_book import Offer, PlanBook
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.trace import Trace

AUDIT_SHARE = 0.03  # of a busy fleet's evaluations
RIPE = 3  # full runs, before which a plan says little about the later ones of its candidate
SEARCH = 64  # audits of full runs, in search of the first plan that keeps a fidelity
BORROWED = 0.5  # of a full run: what a neighbour's knowledge weighs for a key that has none of its own


class PlanPolicy:
    """Draws up the plan of one generation at the pace asked for, and writes what it teaches into both tables."""

    def __init__(
        self,
        known: TrajectoryTable,
        learnt: TrajectoryTable,
        pace: Pace,
        sigmas: Tensor,
        restarts: Collection[int] = (),
        neighbour: tuple[str, TrajectoryTable] | None = None,
        share: float = 1.0,
        begun: Mapping[str, Any] | None = None,
    ) -> None:
        """For the grid `sigmas`, shape (N + 1,); at the steps `restarts` another network takes over. A key that knows
        nothing begins from its `neighbour`. `share` is this worker's part of the fleet's work, which it audits in
        proportion to. `begun` is the state of an interrupted generation's, which it goes on in place of.

        Raises InvalidInput if no plan of this pace can be drawn up; KeyError or ValueError for an unsound state."""
        self._known, self._tables = known, (learnt, known)  # `learnt` first: both learn by what was known before
        self._sigmas = sigmas.cpu().double().numpy()
        self._dsigma = np.diff(self._sigmas)
        self._restarts = frozenset(restarts)
        self._pace = pace
        self._origin, self._lender = _begin(known, neighbour) if begun is None else _begun(known, begun)
        self._source = self._origin.borrowed(BORROWED) if self._lender else self._origin
        self._book = PlanBook(self._source, self._sigmas, restarts)
        self._mean = self._source.mean
        self.evaluations = self._evaluations()
        self.plan = pace.plan or self._book.plan(self.evaluations)
        self.candidate = self._candidate()
        self.added = [int(step) for step in begun["added"]] if begun is not None else []  # evaluated beyond the plan
        self._share = share
        self._audits_wanted = self._lacking()

    @property
    def expected_db(self) -> float | None:
        """The fidelity the plan is expected to keep, from what audits measured; infinite where nothing is skipped,
        None where it cannot be told."""
        if self.candidate is None:
            return None if self._pace.plan else math.inf
        return self._book.fidelity_db(self.candidate, self.evaluations)

    @property
    def snapshot(self) -> str:
        """Which statistics the plan came from."""
        table = self._source
        digest = hashlib.sha256(json.dumps(table.to_dict()).encode()).hexdigest()[:8]
        lender = f", lent by {self._lender}" if self._lender else ""
        return f"{digest} ({table.runs} runs, {table.full_runs} full, {table.audits.audits} audits{lender})"

    def state(self) -> dict[str, Any]:
        """As `models.attachment.Decider`; the plan as it is now is in the trace."""
        return {"origin": self._origin.to_dict(), "lender": self._lender, "added": list(self.added)}

    def tell(self, trace: Trace) -> None:
        """Write into the trace what the plan promises and where it comes from; what is added later shows there too."""
        trace.expected_db, trace.snapshot, trace.added = self.expected_db, self.snapshot, self.added

    def watch(self, plan: Plan, seen: Sightings) -> Plan:
        """As `sampling.watch`: where a prediction missed out of its band, the skip ahead is halved."""
        step = seen.steps[-1]
        skipped = plan.skipped_after(step)
        if self.candidate is None or not skipped or step not in plan.foresee:
            return plan
        miss, expected = seen.miss(plan), foreseen_error(plan, self._mean, step)
        if miss is None or miss <= expected * self._source.band(step):
            return plan
        between = step + (skipped + 1) // 2
        self.added.append(between)
        return self._book.with_evaluation(plan, between, self.candidate)

    def audit_is_due(self, seen: Sightings) -> bool:
        """Whether the fleet would learn enough to pay for it if this generation's seed were run in full too."""
        if self._audits_wanted < 1:
            return False
        audited = self._known.steps + sum(offer.plan.evaluations for offer in self.rivals())
        jobs_long = audited / self.evaluations
        return lot(seen.noise) < chance(self._audits_wanted, self._share, jobs_long)

    def rivals(self) -> list[Offer]:
        """What an audit should walk: the plans that could be the best at this budget, or at the boldest budget that is
        not yet known to be too bold; and first the one that is served, for a promise has to be watched.

        None while plans are drawn up from next to nothing: those that learn would be held to it, and those that learn
        nothing would win.
        """
        if self._source.full_runs < RIPE:
            return []
        own = [] if self.candidate is None else [self._book.offer(self.candidate, self.evaluations)]
        return [*own, *(offer for offer in self._book.contenders(self._probed()) if offer not in own)]

    def learn(self, seen: Sightings, walked: Plan) -> None:
        """Take in what the generation showed. Only a full run can be learnt from first: a plan may be walked again
        where nothing is known."""
        knows = bool(self._source.weight)
        if knows or len(seen.steps) == self._known.steps:
            learn(self._tables, seen, known=self._source)
            for table in self._tables:
                table.evaluations += len(seen.steps)
        if knows:
            learn_misses(self._tables, walked, seen, self._mean)

    def learn_full(self, full: Sightings, walked: Sightings, plan: Plan) -> None:
        """Take in the full run of a seed that was also walked by `plan`: all inner products, and growth."""
        growth = measured_growth(plan, walked, full, self._dsigma)
        learn(self._tables, full, known=self._source)
        for table in self._tables:
            table.add_growth(*growth)
            table.audit_evaluations += table.steps

    def learn_audit(self, offer: Offer, measured_db: float, ssim: float | None = None, *, extra: bool = True) -> None:
        """Take in the fidelity of a plan that was walked on a seed also run in full; `extra`: walked only for that."""
        budget = boldness(self._known.steps, offer.plan.evaluations)
        for table in self._tables:
            table.audits.note(offer.candidate.name, budget, offer.expected_db, measured_db, ssim)
            table.audit_evaluations += offer.plan.evaluations if extra else 0

    def _candidate(self) -> Candidate | None:
        """Whose plan it is; None where every step is evaluated, or the plan was given."""
        skips = self._pace.plan is None and self._book.knows and self.evaluations < self._known.steps
        return self._book.served(self.evaluations) if skips else None

    def _evaluations(self) -> int:
        if self._pace.plan is not None:
            return self._pace.plan.evaluations
        if self._pace.fidelity_db is not None:
            return self._book.fewest_within(self._pace.fidelity_db, self._pace.confidence)
        return max(self._pace.evaluations_for(self._known.steps), self._book.fewest)

    def _lacking(self) -> float:
        """How many audits the fleet lacks: many while a key is young, then a small share of the work.

        Without a full run nothing is known that could be tried.
        """
        if self._pace.plan is not None or not self._book.knows:
            return 0.0
        known = self._known
        young = 1 + math.log2(1 + known.runs) - known.audits.audits
        if self._pace.fidelity_db is not None and self.evaluations >= known.steps:
            # The full run is made anyway. Plans drawn up from few would soon be others, their audits void.
            young = SEARCH - known.audits.audits if known.full_runs >= SETTLED else 0.0
        return max(young, (AUDIT_SHARE * known.evaluations - known.audit_evaluations) / known.steps)

    def _probed(self) -> int:
        """The budget an audit is about: the one that was asked for; where a fidelity was, one that might do."""
        if self._pace.fidelity_db is not None:
            return self._book.probe(self._pace.fidelity_db, self._pace.confidence)
        if self.evaluations < self._known.steps:
            return self.evaluations
        return max(self._book.fewest, round(self.evaluations / 2))


def _begin(known: TrajectoryTable, neighbour: tuple[str, TrajectoryTable] | None) -> tuple[TrajectoryTable, str | None]:
    """What plans are drawn up from, or lent from, and who lends it; as it is before the generation teaches anything."""
    lender, table = (None, known) if known.weight or neighbour is None else neighbour
    return copy.deepcopy(table), lender


def _begun(known: TrajectoryTable, state: Mapping[str, Any]) -> tuple[TrajectoryTable, str | None]:
    """What an interrupted generation began from."""
    table = TrajectoryTable.from_dict(state["origin"])
    if (table.steps, table.grid) != (known.steps, known.grid):
        raise ValueError("the plan was drawn up for another grid")
    return table, state["lender"]
