"""Where planner and sampler meet: what was learnt becomes a `Plan`, and what a trajectory showed becomes knowledge.

bandit/    knows which velocities predict which, and finds the path of least error;  knows no tensor
sampling/  walks a plan and notes what it sees on a few coordinates;                 knows no statistics
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.planner import Path, Planner, kriging_weights
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

ORDER = 2  # evaluations a skipped step is predicted from
AUDIT_SHARE = 0.03  # of a busy fleet's evaluations

Floats = NDArray[np.float64]


def every_step(steps: int) -> Plan:
    """Euler, as a plan."""
    return Plan(steps, tuple(range(steps)), predict={}, integrate={})


def learned_plan(table: TrajectoryTable, dsigma: Floats, evaluations: int, restarts: Collection[int] = ()) -> Plan:
    """The best plan known for that many evaluations; every step where no full run has been seen yet.

    `dsigma` is sigma_{k+1} − sigma_k, shape (N,). Raises InvalidInput for a budget that cannot reach the end.
    """
    if not table.full_runs or evaluations >= table.steps:
        return every_step(table.steps)
    path = Planner(table.mean, dsigma, table.growth, restarts=restarts).path(evaluations)
    return draw_up(path, table.mean, dsigma, restarts)


def draw_up(path: Path, mean: Floats, dsigma: Floats, restarts: Collection[int] = ()) -> Plan:
    """The path with the weights for its skipped steps: predicted on the way, integrated again at the skip's end."""
    predict, integrate = {}, {}
    for position, (start, end) in enumerate(zip(path.evaluated, [*path.evaluated[1:], len(mean)], strict=True)):
        skipped = range(start + 1, end)
        if not skipped:
            continue
        history = path.evaluated[max(0, position + 1 - ORDER) : position + 1]
        for step in skipped:
            predict[step] = tuple(kriging_weights(mean, history, step).tolist())
        if end < len(mean) and end not in restarts:
            integrate[end] = _way(mean, dsigma, [*history, end], start, skipped)
    return Plan(len(mean), path.evaluated, predict, integrate)


def _way(mean: Floats, dsigma: Floats, history: Sequence[int], start: int, skipped: range) -> tuple[float, ...]:
    """Weights of the velocities of `history` for the way from `start`, whose own velocity is real, over the skip."""
    weights = kriging_weights(mean, history, list(skipped)) @ dsigma[list(skipped)]
    weights[list(history).index(start)] += dsigma[start]
    return tuple(weights.tolist())


def learn(table: TrajectoryTable, sightings: Sightings, known: TrajectoryTable) -> None:
    """Add what a finished trajectory showed to `table`; a skipping one is completed from the mean of `known`."""
    if len(sightings.steps) == table.steps:
        table.add_run(sightings.gram)
    else:
        table.add_block(sightings.steps, sightings.gram, known.mean)


def audit_is_due(table: TrajectoryTable, evaluations: int) -> bool:
    """Whether the next generation should run its seed in full too: often while a key is young, then a small share."""
    if not table.full_runs:
        return False  # the next one is a full run anyway
    young = table.full_runs <= 1 + math.log2(table.runs)
    return young or table.full_runs * table.steps < AUDIT_SHARE * table.runs * evaluations


def measured_growth(plan: Plan, walked: Sightings, full: Sightings, dsigma: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """How deviations grew in a planned trajectory whose seed was also run in full: (log g_k, known), each (N,).

    From one evaluated step to the next the deviation is what it was, grown, and what the skip between them added.
    The latter is known from the full run's velocities; the rest, over the former, is the growth, spread over the steps.
    """
    log_growth, known = np.zeros(plan.steps), np.zeros(plan.steps, dtype=bool)
    x_full, v_full = full.x, full.v
    ends = [*walked.steps[1:], plan.steps]
    deviations = [x - x_full[step] for x, step in zip(walked.x, [*walked.steps, plan.steps], strict=True)]
    for position, (start, end) in enumerate(zip(walked.steps, ends, strict=True)):
        before = np.linalg.norm(deviations[position])
        added = _added_by_skip(plan, v_full, dsigma, walked.steps[: position + 1], start, end)
        grown = np.linalg.norm(deviations[position + 1] - added)
        if before > 1e-6 * np.linalg.norm(x_full[start]) and grown > 0:
            log_growth[start:end] = math.log(grown / before) / (end - start)
            known[start:end] = True
    return log_growth, known


def _added_by_skip(plan: Plan, v: Floats, dsigma: Floats, history: Sequence[int], start: int, end: int) -> Floats:
    """What the plan's weights make of the full run's own velocities between two evaluations, less the truth."""
    truth = dsigma[start:end] @ v[start:end]
    if end in plan.integrate:
        return _weighed(plan.integrate[end], v, [*history, end]) - truth
    way = dsigma[start] * v[start]
    for step in range(start + 1, end):
        way = way + dsigma[step] * _weighed(plan.predict[step], v, history)
    return np.asarray(way - truth)


def _weighed(weights: Sequence[float], v: Floats, history: Sequence[int]) -> Floats:
    return np.asarray(np.array(weights) @ v[list(history)[-len(weights) :]])
