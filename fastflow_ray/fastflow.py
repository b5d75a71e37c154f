"""The page to read first: where sampling and the bandit meet.

A flow model makes a video by walking sigma from 1 to 0, and nearly all the time goes into evaluating its network at
every step. FastFlow evaluates some steps and goes through the others along the line through the last two velocities.
How many steps may be skipped after step k is learnt by a bandit of its own for every k, from the error seen whenever
a real evaluation ends a skip:

    sampling/  walks, predicts, measures errors;  asks a `SkipPolicy` how far to skip;  knows no bandit
    bandit/    counts errors per step and arm, chooses by upper confidence bound;       knows no tensor
    here       `BanditPolicy` is the one in terms of the other, and `FastFlow` remembers across generations

A skip is credited to the step where it starts, and may only be chosen if there is a step left whose evaluation can
end it: the first two steps and the last are always evaluated.

Source: FastFlow, arXiv 2602.11105.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.policy_key import PolicyKey
from fastflow_ray.bandit.statistics import ArmStatistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.ucb import pull
from fastflow_ray.errors import InvalidInput
from fastflow_ray.learned_plan import audit_is_due, every_step, learn, learned_plan, measured_growth
from fastflow_ray.sampling.euler import Velocity
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import check_grid, fingerprint
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.trace import Trace

if TYPE_CHECKING:
    from fastflow_ray.models.attachment import Attachment

ARMS = (0, 2, 4, 6)  # steps skipped, as published
GAMMA = 2.0  # as published


class BanditPolicy:
    """One generation's `SkipPolicy`: decides from the table of what is known, and writes what it learns into it.

    Where no scale is known yet the generation is a calibration: every step is evaluated, and the one-step errors,
    which are pulls of arm 0 like any other, give mu = max_t MSE_t / N.
    """

    def __init__(self, known: ArmTable, learnt: ArmTable, gamma: float) -> None:
        self._known = known
        self._tables = (known, learnt)
        self._gamma = gamma
        self._scale = None if known.scale_runs else np.zeros(known.steps)

    def choose(self, step: int, longest: int) -> int:
        """The arm of largest upper confidence bound among those of at most `longest` steps."""
        if self._scale is not None:
            return 0
        admissible = sum(arm <= longest for arm in self._known.arms)
        values, pulls = self._known.value[step, :admissible], self._known.pulls[step, :admissible]
        return self._known.arms[pull(values, pulls, self._gamma)]

    def observe(self, step: int, skipped: int, error: float) -> None:
        """Credit the arm pulled at `step`."""
        for table in self._tables:
            table.update(step, skipped, error)
        if self._scale is not None:
            self._scale[step] = error

    def finish(self) -> None:
        """Count the generation; only a calibration that reached its end sets the scale."""
        for table in self._tables:
            table.runs += 1
            if self._scale is not None:
                table.calibrate(self._scale)


class FastFlow:
    """Samples with most evaluations skipped, and learns across calls which to skip. For one thread at a time.

    The same statistics, seed and calls give the same decisions: nothing is drawn.
    """

    def __init__(
        self, gamma: float = GAMMA, arms: Sequence[int] = ARMS, statistics: ArmStatistics | None = None
    ) -> None:
        """`statistics` is what is known already; it is copied."""
        if not (math.isfinite(gamma) and gamma >= 0):
            raise InvalidInput(f"gamma = {gamma} is no weight of exploration; use a number from 0, such as {GAMMA}")
        if not arms or arms[0] != 0 or list(arms) != sorted(set(arms)):
            raise InvalidInput(f"arms {tuple(arms)} have to rise strictly from 0, such as {ARMS}")
        self.gamma = gamma
        self.arms = tuple(arms)
        self.statistics = ArmStatistics().merge(statistics or ArmStatistics())  # what it decides from
        self._delta = ArmStatistics()
        self.trajectories: dict[str, TrajectoryTable] = {}  # by key: what plans are drawn up from

    def sample(
        self,
        velocity: Velocity,
        x: Tensor,
        sigmas: Tensor,
        key: str | PolicyKey = "",
        *,
        evaluations: int | None = None,
        speedup: float | None = None,
    ) -> tuple[Tensor, Trace]:
        """Integrate dx/dsigma = velocity(x, sigma) over `sigmas`, shape (steps + 1,), from noise x of any shape.

        With `evaluations`, or with `speedup` for steps / speedup of them, it follows a plan drawn up from what was
        learnt: the first call of a key evaluates every step, and now and then one runs its seed in full too, which
        `trace.nfe` counts and `trace.audit_mse` tells of. Without, it is FastFlow as published.

        Calls with the same `key` learn from each other; without one, those with the same grid and shape of x. A text
        of your own stands for one grid and one set of arms: another raises StatisticsMismatch. Returns x at sigma = 0,
        float32, and what was done. Raises InvalidInput and InvalidOutput too.
        """
        check_grid(sigmas)
        if evaluations is not None or speedup is not None:
            budget = evaluations_for(len(sigmas) - 1, evaluations, speedup)
            return self._sample_planned(velocity, x, sigmas, str(key), budget)
        return fastflow(velocity, x, sigmas, self._policy(key, sigmas, _shape(x.shape)))

    def _sample_planned(
        self, velocity: Velocity, x: Tensor, sigmas: Tensor, key: str, evaluations: int
    ) -> tuple[Tensor, Trace]:
        steps, grid = len(sigmas) - 1, fingerprint(sigmas)
        key = key or f"{_shape(x.shape)}:grid{grid}"
        dsigma = np.diff(sigmas.double().cpu().numpy())
        table = self.trajectories.setdefault(key, TrajectoryTable.empty(steps, grid))
        table.check(key, steps, grid)
        plan, audit = learned_plan(table, dsigma, evaluations), audit_is_due(table, evaluations)
        walked = Sightings()
        sample, trace = planned(velocity, x, sigmas, plan, walked)
        learn(table, walked, known=table)
        if audit:
            full = Sightings()
            reference, full_trace = planned(velocity, x, sigmas, every_step(steps), full)
            learn(table, full, known=table)
            table.add_growth(*measured_growth(plan, walked, full, dsigma))
            trace.nfe += full_trace.nfe
            trace.audit_mse = float((sample - reference).square().mean())
        return sample, trace

    @contextmanager
    def attach(self, pipe: Any, key: str | PolicyKey = "") -> Iterator[Attachment]:
        """Accelerate every call of a diffusers flow pipeline inside the `with`; on leaving, it is as it was.

        The object given has the `trace` of the latest call. `key` as in `sample`; without one, calls with the same
        grid, shape and guidance learn from each other. Raises AccelerationUnavailable, saying why, and InvalidInput if
        attached twice.
        """
        from fastflow_ray.models.attachment import attach  # only here is diffusers needed

        def policy_for(sigmas: Tensor, shape: Sequence[int]) -> BanditPolicy:
            guidance = getattr(pipe, "guidance_scale", None)
            of_guidance = "" if guidance is None else f"guidance{guidance:g}:"
            return self._policy(key, sigmas, of_guidance + _shape(shape))

        with attach(pipe, policy_for) as attachment:
            yield attachment

    def take_delta(self) -> ArmStatistics:
        """What was learnt since the last take; `statistics` holds it already. Call between generations."""
        delta, self._delta = self._delta, ArmStatistics()
        return delta

    def adopt(self, snapshot: ArmStatistics) -> None:
        """Decide from what the fleet knows and what was learnt here since the last take. Call between generations."""
        self.statistics = snapshot.merge(self._delta)

    def _policy(self, key: str | PolicyKey, sigmas: Tensor, call: str) -> BanditPolicy:
        steps, grid = len(sigmas) - 1, fingerprint(sigmas)
        name = self._table_name(key, call, grid)
        known = self.statistics.table(name, steps=steps, arms=self.arms, grid=grid)
        learnt = self._delta.table(name, steps=steps, arms=self.arms, grid=grid)
        return BanditPolicy(known, learnt, self.gamma)

    def _table_name(self, key: str | PolicyKey, call: str, grid: str) -> str:
        """Names we make tell arms and grids apart. So workers of two versions in one fleet never meet in one table,
        and none of their jobs dies of it."""
        if isinstance(key, str) and key:
            return key
        return f"{key or call}:arms{'-'.join(map(str, self.arms))}:grid{grid}"


def evaluations_for(steps: int, evaluations: int | None, speedup: float | None) -> int:
    """How many of `steps` run the network; raises InvalidInput for a budget that cannot be."""
    if evaluations is not None and speedup is not None:
        raise InvalidInput("`evaluations` and `speedup` say the same thing; give one of them")
    if speedup is not None:
        if not (math.isfinite(speedup) and speedup >= 1):
            raise InvalidInput(f"speedup = {speedup} is none; use a number from 1, such as 2.6")
        evaluations = round(steps / speedup)
    if evaluations is None or not 2 <= evaluations <= steps:
        raise InvalidInput(f"{evaluations} of {steps} steps cannot be evaluated; ask for 2 to {steps}")
    return evaluations


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
