"""A worker pool that exists on paper: each look is one moment in the life of its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastflow_ray.errors import FleetUnavailable
from orchestration.worker_pool import WorkerSight
from workers.status import WorkerState

NEXT = {WorkerState.PENDING: WorkerState.LOADING, WorkerState.LOADING: WorkerState.IDLE}


class PaperCluster:
    """What outlives a supervisor: GPUs and the workers on them."""

    def __init__(self, gpus: int = 99) -> None:
        self.gpus = gpus
        self.workers: dict[str, WorkerSight] = {}

    def become(self, name: str, state: WorkerState, job_id: str | None = None, silent_s: float = 0.0) -> None:
        """Put a worker into a state."""
        self.workers[name] = WorkerSight(name, state, job_id, silent_s=silent_s)

    def rest(self, name: str, why: str) -> None:
        """A worker takes no jobs; empty: it takes them again."""
        self.workers[name] = replace(self.workers[name], rests=why)

    def crash(self, name: str) -> None:
        """End a worker without a word."""
        del self.workers[name]

    def pass_a_moment(self) -> None:
        """Pending workers get free GPUs and begin to load, loading ones are done, who leaves and has no job is gone."""
        free = self.gpus - sum(worker.state is not WorkerState.PENDING for worker in self.workers.values())
        for name, worker in list(self.workers.items()):
            if worker.state in (WorkerState.DRAINING, WorkerState.LEAVING) and worker.job_id is None:
                self.crash(name)
            elif worker.state in NEXT and (worker.state is not WorkerState.PENDING or free > 0):
                free -= worker.state is WorkerState.PENDING
                self.workers[name] = replace(worker, state=NEXT[worker.state])


class PaperPool:
    """A `WorkerPool` over a paper cluster; `test_worker_pools.py` holds it to the same contract as the one on Ray."""

    def __init__(self, cluster: PaperCluster) -> None:
        self._cluster = cluster
        self._known: set[str] = set()

    def look(self) -> Sequence[WorkerSight]:
        """A moment passes, then all are seen."""
        self._cluster.pass_a_moment()
        gone = [WorkerSight(name, WorkerState.GONE) for name in self._known - self._cluster.workers.keys()]
        self._known = set(self._cluster.workers)
        return [*gone, *self._cluster.workers.values()]

    def create(self, name: str) -> None:
        """Begin a worker."""
        if name in self._cluster.workers:
            raise FleetUnavailable(f"there is a worker {name}")
        self._cluster.become(name, WorkerState.PENDING)
        self._known.add(name)

    def drain(self, name: str) -> None:
        """It gives its job back and leaves."""
        self._cluster.become(name, WorkerState.DRAINING)

    def kill(self, name: str) -> None:
        """It is gone."""
        self._cluster.crash(name)
