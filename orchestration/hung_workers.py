"""Which workers are there and yet do nothing: frozen processes, and kernels that never return.

Knows no Ray; times are the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from orchestration.worker_pool import WorkerSight

SILENCE_S = 120.0  # without an answer; a healthy worker answers within milliseconds, however busy
CLING_S = 60.0  # a healthy worker notices at its next step that its job was given to somebody else


class HungWorkers:
    """Watches those that do not answer, and those that hold on to a job that was taken from them."""

    def __init__(self) -> None:
        self._robbed: dict[tuple[str, str], float] = {}  # (name, the job that was taken) → when

    def robbed(self, job_ids: Collection[str], holders: Iterable[WorkerSight], now_s: float) -> None:
        """These jobs were just taken from whoever held them at the look before."""
        for worker in holders:
            for job_id in worker.job_ids.intersection(job_ids):
                self._robbed[worker.name, job_id] = now_s

    def forgive(self, has_again: Callable[[str, str], bool]) -> None:
        """Those to whom the queue gave their job once more: `has_again(name, job)`. They may be seen with it at every
        look, for they lose it and claim it within milliseconds."""
        self._robbed = {robbed: since_s for robbed, since_s in self._robbed.items() if not has_again(*robbed)}

    def among(self, workers: Sequence[WorkerSight], now_s: float) -> list[WorkerSight]:
        """Those that should be ended."""
        jobs_of = {worker.name: worker.job_ids for worker in workers}
        self._robbed = {
            (name, job): since_s for (name, job), since_s in self._robbed.items() if job in jobs_of.get(name, ())
        }
        clinging = {name for (name, _), since_s in self._robbed.items() if now_s - since_s > CLING_S}
        return [worker for worker in workers if worker.silent_s > SILENCE_S or worker.name in clinging]
