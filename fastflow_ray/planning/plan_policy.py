"""What one generation's plan is drawn up from, what may change it on the way, and what the generation teaches.

Whether its seed is run in full too, and what that teaches, is its `AuditPolicy`'s.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.pace import Pace
from fastflow_ray.planning.audit_policy import AuditPolicy
from fastflow_ray.planning.learned_plan import every_step
from fastflow_ray.planning.learning import learn_misses, learn_velocities
from fastflow_ray.planning.origin import Origin
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.planning.plan_error import foreseen_error
from fastflow_ray.planning.promise import Promise
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.trace import Trace

MOST_ADDED = 0.5  # of the evaluations that were asked for; one at least


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
        fleet_share: float = 1.0,
        begun: Mapping[str, Any] | None = None,
    ) -> None:
        """For the grid `sigmas`, shape (N + 1,); at the steps `restarts` another network takes over. A key that knows
        nothing begins from its `neighbour`. `fleet_share` is this worker's part of the fleet's work, 0 to 1, and of its
        audits. `begun` is the state of an interrupted generation's, which it goes on in place of.

        Raises InvalidInput if no plan of this pace can be drawn up; KeyError or ValueError for an unsound state."""
        self._known, self._tables = known, (learnt, known)  # `learnt` first: both learn by what was known before
        self._pace = pace
        self._origin = Origin.at_beginning(known, neighbour) if begun is None else Origin.of_interrupted(known, begun)
        self._book = PlanBook(self._origin.table, sigmas.cpu().double().numpy(), restarts)
        self.served = self._offered()
        self.plan = pace.plan or (self.served.plan if self.served else every_step(known.steps))
        self.added = [int(step) for step in begun["added"]] if begun is not None else []  # evaluated beyond the plan
        self.audits = AuditPolicy(
            known, self._tables, self._book, pace, self.plan.evaluations, self.served, fleet_share
        )

    @property
    def expected_db(self) -> float | None:
        """The fidelity the plan is expected to keep, from what audits measured; infinite where nothing is skipped,
        None where it cannot be told."""
        if self.served is None:
            return None if self._pace.plan else math.inf
        return self._book.fidelity_db(self.served)

    def state(self) -> dict[str, Any]:
        """As `models.attachment.Decider`; the plan as it is now is in the trace."""
        return self._origin.state() | {"added": list(self.added)}

    def tell(self, trace: Trace) -> None:
        """Write into the trace what the plan promises and where it comes from; what is added later shows there too."""
        trace.expected_db, trace.snapshot, trace.added = self.expected_db, self._origin.snapshot, self.added

    def watch(self, plan: Plan, seen: Sightings) -> Plan:
        """As `sampling.watch`: where a learnt prediction missed out of its band, the next skip ahead is halved."""
        step = seen.steps[-1]
        ahead = next((skip for skip in plan.skips if skip[0] >= step and skip[1]), None)
        if self.served is None or not self._may_add(self.served) or ahead is None or step not in plan.foresee:
            return plan
        miss, expected = seen.miss(plan), foreseen_error(plan, self._book.mean, step)
        if miss is None or miss <= expected * self._origin.table.misses.band(step):
            return plan
        evaluated, skipped = ahead
        between = evaluated + (skipped + 1) // 2
        self.added.append(between)
        return self._book.with_evaluation(plan, between, self.served.candidate)

    def _may_add(self, served: Offer) -> bool:
        """Whether one evaluation more is in the bargain. Not where nothing is learnt: a line would go on over a long
        skip from two close velocities. Who asks for so many evaluations gets few more, and who is promised a fidelity
        as many as it takes."""
        most = math.inf if self._pace.fidelity_db is not None else max(1, MOST_ADDED * served.plan.evaluations)
        return served.candidate.is_learnt and len(self.added) + 1 <= most

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """If what is done in here fails, it teaches nothing, though its audit had begun to."""
        with ExitStack() as failing:
            failing.callback(self._unlearn, copy.deepcopy(self._tables))
            yield
            failing.pop_all()

    def learn(self, seen: Sightings, walked: Plan) -> None:
        """Take in what the generation showed. Only a full run can be learnt from first: a plan may be walked again
        where nothing is known."""
        source = self._origin.table
        if source.products.weight or len(seen.steps) == self._known.steps:
            learn_velocities(self._tables, seen, known=source, mean=self._book.mean)
            for table in self._tables:
                table.evaluations += len(seen.steps)
        if self.served is not None and self.served.candidate.is_learnt and not self._origin.lender:
            learn_misses(self._tables, walked, seen, known=source, mean=self._book.mean)

    def _unlearn(self, before: tuple[TrajectoryTable, ...]) -> None:
        for table, unchanged in zip(self._tables, before, strict=True):
            vars(table).update(vars(unchanged))

    def _offered(self) -> Offer | None:
        """The plan that is served; None where it was given, or nothing can be skipped."""
        if self._pace.plan is not None:
            return None
        if (promise := Promise.asked_for(self._pace, self._book)) is not None:
            return promise.served
        budget = self._pace.evaluations_for(self._known.steps)
        if self._pace.speedup is not None:
            return self._book.served(max(budget, self._book.fewest))  # as fast as can be
        self._book.check(budget)
        return self._book.served(budget)
