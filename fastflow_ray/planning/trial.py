"""The audit of one generation: how close its plan, and each plan that might be better, comes to the full run.

The seed is run in full, and the result is the reference. Every plan in question is then walked on the same seed, and
its result compared with the reference: a fidelity, PSNR in dB. As all of them share the seed, their differences say
more about the plans than fidelities of different videos would.

    1. The full run, unless the generation was one itself.
    2. The plan that was served and its rivals, which could be better, where the fleet lacks audits and pays for this
       one.
    3. One path both ways, by smooth predictions and by those as learnt, while it is open which are better.

Which plans these are, the `AuditPolicy` decides, and what the tables learn from each are its lessons. Here is the order
of events. Knows neither pipeline nor video: whoever holds the trial says how a plan is walked and how two results
compare.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from fastflow_ray.errors import Draining, InvalidOutput
from fastflow_ray.planning.audit_policy import AuditPolicy
from fastflow_ray.planning.learned_plan import every_step
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.trace import Trace

Result = TypeVar("Result")  # frames, or latents


class Fidelity(NamedTuple):
    """How close two results are."""

    psnr_db: float  # infinite if they are equal
    ssim: float | None = None


LOST = Fidelity(psnr_db=0.0)  # of a walk that led the network astray

Walk = Callable[[Plan], tuple[Result, Sightings]]  # makes the seed's result by a plan
Compare = Callable[[Result, Result], Fidelity]  # a result with the full run's


class Trial:
    """One generation that has been made, and its audit."""

    def __init__(self, policy: AuditPolicy, seen: Sightings, trace: Trace, planned: Plan) -> None:
        """`seen` and `trace` are of the generation. It walked `planned`, unless the trace has a plan that was altered
        on the way."""
        self.seen = seen
        self._policy, self._trace, self._planned = policy, trace, planned

    @cached_property
    def is_due(self) -> bool:
        """Whether the fleet would learn enough from an audit to pay for it."""
        return self._policy.is_due(self.seen)

    def hold(self, made: Result, walk: Walk[Result], compare: Compare[Result]) -> tuple[Result, Fidelity]:
        """Make the audit, and learn from it. Other plans are walked only where it is due.

        Args:
            made: what the generation made.
            walk: makes the same video by another plan.
            compare: a result against the full run's.

        Returns the full run's result and the fidelity of `made`. Raises whatever `walk` raises; but when Draining ends
        the walk of a rival, what was measured until then is the answer.
        """
        reference, full = self._run_in_full(made, walk)
        fidelity = compare(made, reference)
        seed = _AuditedSeed(reference, walk, compare)
        seed.note(self._walked, fidelity)
        with suppress(Draining):
            self._compare_plans(seed, full)
            self._compare_both_ways(seed)
        return reference, fidelity

    @property
    def _walked(self) -> Plan:
        """The plan that the generation walked, to its end."""
        return self._trace.plan or self._planned

    def _run_in_full(self, made: Result, walk: Walk[Result]) -> tuple[Result, Sightings]:
        """The result of the full run, and what was seen on its way; a generation that skipped nothing was one."""
        if not self._trace.skipped:
            return made, self.seen
        reference, full = walk(every_step(self._trace.steps))
        self._policy.lessons.learn_full(full, self.seen, self._walked)
        if self.is_due:
            self._policy.lessons.charge_full()
        return reference, full

    def _compare_plans(self, seed: _AuditedSeed[Result], full: Sightings) -> None:
        """Learn the fidelity of every plan to be compared, and walk those that were not walked yet.

        What the generation walked need not be the plan that it was served, which may have been altered on the way; and
        two candidates may have the same plan.
        """
        plans = self._policy.compared if self.is_due else self._policy.compared_on_demand(self._walked)
        for offer in plans:
            fidelity = seed.fidelity_of(offer.plan)
            if fidelity is None:
                fidelity, seen = seed.walk(offer.plan)
                self._policy.lessons.learn_walk(offer, seen, full)
            self._policy.lessons.learn_fidelity(offer, *fidelity)

    def _compare_both_ways(self, seed: _AuditedSeed[Result]) -> None:
        """Walk one path the other way too, where the policy asks for it, and learn which way kept more."""
        both_ways = self._policy.both_ways(self._walked) if self.is_due else None
        if both_ways is None:
            return
        own = seed.fidelity_of(both_ways.own)
        assert own is not None  # the generation walked it, or it was compared
        other, _ = seed.walk(both_ways.other)
        self._policy.lessons.learn_smoothing(both_ways, own.psnr_db, other.psnr_db)


class _AuditedSeed(Generic[Result]):
    """One seed, its full run's result, and the fidelity of each plan that was walked on it."""

    def __init__(self, reference: Result, walk: Walk[Result], compare: Compare[Result]) -> None:
        self._reference, self._walk, self._compare = reference, walk, compare
        self._measured: list[tuple[Plan, Fidelity]] = []  # a list, for plans have no hash

    def note(self, plan: Plan, fidelity: Fidelity) -> None:
        """The plan was walked on this seed, and kept so much."""
        self._measured.append((plan, fidelity))

    def fidelity_of(self, plan: Plan) -> Fidelity | None:
        """What the plan kept; None where it was not walked."""
        return next((fidelity for walked, fidelity in self._measured if walked == plan), None)

    def walk(self, plan: Plan) -> tuple[Fidelity, Sightings | None]:
        """Walk the plan: what it keeps, and what was seen on its way. `LOST` and None if it leads the network astray,
        for which nobody's video shall be lost."""
        try:
            result, seen = self._walk(plan)
            fidelity = self._compare(result, self._reference)
        except InvalidOutput:
            fidelity, seen = LOST, None
        self.note(plan, fidelity)
        return fidelity, seen
