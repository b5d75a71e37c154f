"""A generation on trial: its seed is run in full too, and by every plan that might have been better.

What the full run made is the truth that fidelity is measured against. Knows neither pipeline nor video: whoever holds
the trial says how a plan is walked and how two results compare.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple, TypeVar

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


LOST = Fidelity(psnr_db=0.0)


class Trial:
    """One generation that has been made, and what is known of it."""

    def __init__(self, policy: AuditPolicy, seen: Sightings, trace: Trace, planned: Plan) -> None:
        """`planned` was walked where `trace` does not tell of another, altered on the way."""
        self.seen = seen  # of its trajectory
        self._policy, self._trace, self._planned = policy, trace, planned

    @cached_property
    def is_due(self) -> bool:
        """Whether the fleet would learn enough from it to pay for it."""
        return self._policy.is_due(self.seen)

    def hold(
        self,
        made: Result,
        walk: Callable[[Plan], tuple[Result, Sightings]],
        compare: Callable[[Result, Result], Fidelity],
    ) -> tuple[Result, Fidelity]:
        """Run the seed in full and learn; where a trial is due, walk the plans that could be the best as well.

        Args:
            made: what the generation made.
            walk: makes the same video by another plan.
            compare: a result against the full run's.

        Returns the full run's result and the fidelity of `made`. Raises whatever `walk` raises; but when Draining ends
        the walk of a rival, what was measured until then is the answer.
        """
        reference, full, walked = made, self.seen, self._trace.plan or self._planned
        if self._trace.skipped:
            reference, full = walk(every_step(self._trace.steps))
            self._policy.learn_full(full, self.seen, walked)
            if self.is_due:
                self._policy.charge_full()
        fidelity = compare(made, reference)
        with suppress(Draining):
            self._hold_rivals(walked, fidelity, full, lambda plan: _measured(plan, walk, compare, reference))
        return reference, fidelity

    def _hold_rivals(
        self,
        walked: Plan,
        ours: Fidelity,
        full: Sightings,
        measure: Callable[[Plan], tuple[Fidelity, Sightings | None]],
    ) -> None:
        measured = [(walked, ours)]
        for offer in self._policy.rivals if self.is_due else self._policy.promised(walked):
            fidelity = next((known for plan, known in measured if plan == offer.plan), None)
            if fidelity is None:  # not what was made, which the watch may have altered, nor another candidate's plan
                fidelity, seen = measure(offer.plan)
                measured.append((offer.plan, fidelity))
                self._policy.learn_walk(offer, seen, full)
            self._policy.learn_fidelity(offer, *fidelity)
        if self.is_due and (both_ways := self._policy.both_ways(walked)) is not None:
            own = next(known for plan, known in measured if plan == both_ways.own)
            self._policy.learn_smoothing(both_ways, own.psnr_db, measure(both_ways.other)[0].psnr_db)


def _measured(
    plan: Plan,
    walk: Callable[[Plan], tuple[Result, Sightings]],
    compare: Callable[[Result, Result], Fidelity],
    reference: Result,
) -> tuple[Fidelity, Sightings | None]:
    """What a rival keeps, and what was seen on its way: nothing, and None, if it leads the network astray, for which
    nobody's video shall be lost."""
    try:
        result, seen = walk(plan)
        return compare(result, reference), seen
    except InvalidOutput:
        return LOST, None
