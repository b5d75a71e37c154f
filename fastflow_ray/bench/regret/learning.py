"""What fleets lost while they learnt, from the jobs they did. Pure; knows no plan and no tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from fastflow_ray.bench.regret.fleet import Job

NEAR_DB = 1.0


@dataclass(frozen=True)
class Fleet:
    """The jobs of fleets of one size, one run per world, and what each world's best plan keeps."""

    label: str
    workers: int
    runs: Sequence[Sequence[Job]]
    best_db: Sequence[float]  # by world: of the best plan known in hindsight

    @property
    def jobs(self) -> int:
        """Of a run."""
        return len(self.runs[0])

    @property
    def regret(self) -> list[float]:
        """dB by job, in the order they began: the best plan's fidelity less the one served, the mean over worlds."""
        return _mean([[shortfall(job, best) for job in run] for run, best in zip(self.runs, self.best_db, strict=True)])

    @property
    def regret_served(self) -> float:
        """dB, the mean over all jobs that were served a plan: full runs lose nothing, and would flatter."""
        served = [
            shortfall(job, best)
            for run, best in zip(self.runs, self.best_db, strict=True)
            for job in run
            if math.isfinite(job.fidelity_db)
        ]
        return sum(served) / max(1, len(served))

    @property
    def total_regret(self) -> list[float]:
        """dB, of the first 1, 2, … jobs together."""
        return list(accumulate(self.regret))

    @property
    def learning(self) -> list[float]:
        """Evaluations beside those asked for, of the first 1, 2, … jobs together, the mean over worlds."""
        return list(accumulate(_mean([[float(job.learning) for job in run] for run in self.runs])))

    @property
    def evaluations(self) -> float:
        """Of a job that was not run in full, the mean."""
        skipping = [job.evaluations for run in self.runs for job in run if math.isfinite(job.fidelity_db)]
        return sum(skipping) / max(1, len(skipping))

    @property
    def pace(self) -> float:
        """Jobs that all workers together get through per evaluation of one of them."""
        work = sum(job.evaluations + job.learning for run in self.runs for job in run)
        return self.workers * self.jobs * len(self.runs) / work

    @property
    def horizon(self) -> float:
        """When the first of its worlds had no job left to begin."""
        return min(run[-1].began for run in self.runs)

    def regret_at(self, time: float) -> float | None:
        """dB that the plan served then falls short by, the mean over worlds; None before all of them serve one."""
        serving = [_latest(run, time) for run in self.runs]
        if not all(serving):
            return None
        return sum(shortfall(job, best) for job, best in zip(serving, self.best_db, strict=True) if job) / len(serving)

    def total_regret_at(self, time: float) -> float:
        """dB, of all jobs begun by then, per worker, the mean over worlds."""
        lost = [
            sum(shortfall(job, best) for job in run if job.began <= time)
            for run, best in zip(self.runs, self.best_db, strict=True)
        ]
        return sum(lost) / len(lost) / self.workers


def shortfall(job: Job, best_db: float) -> float:
    """A job's regret in dB; a full run has none."""
    return 0.0 if math.isinf(job.fidelity_db) else best_db - job.fidelity_db


def plateau(fleet: Fleet) -> float:
    """The regret that is left once it has learnt: the mean over the last quarter of its jobs."""
    last = fleet.regret[-max(1, fleet.jobs // 4) :]
    return sum(last) / len(last)


def settled(fleet: Fleet, level: float) -> float | None:
    """The first time from which the plan served stays within `NEAR_DB` of the regret `level`; None: never."""
    times = sorted({job.began for run in fleet.runs for job in run if job.began <= fleet.horizon})
    since: float | None = None
    for time in times:
        regret = fleet.regret_at(time)
        if regret is None or regret > level + NEAR_DB:
            since = None
        elif since is None:
            since = time
    return since


def speedup(one: Fleet, many: Fleet) -> float:
    """How many times faster `many` learn than `one` alone: by how many times more jobs they get through in a time,
    full runs and audits included, and by how much more each of these loses."""
    loss = one.regret_served / many.regret_served if many.regret_served else 1.0
    return many.pace / one.pace * loss


def _latest(run: Sequence[Job], time: float) -> Job | None:
    """Of the jobs begun by then that were served a plan."""
    served = [job for job in run if job.began <= time and math.isfinite(job.fidelity_db)]
    return served[-1] if served else None


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(column) for column in zip(*rows, strict=True)]
