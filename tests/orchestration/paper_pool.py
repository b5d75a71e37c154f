"""A worker pool that exists on paper: each look is one moment in the life of its workers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from fastflow_ray.errors import FleetUnavailable
from orchestration.worker_pool import WorkerSight
from workers.status import WorkerState

NEXT = {WorkerState.PENDING: WorkerState.LOADING, WorkerState.LOADING: WorkerState.IDLE}


class PaperCluster:
    """What outlives a supervisor: GPUs and the workers on them."""

    def __init__(self, gpus: int = 99) -> None:
        self.nodes = [f"node-{n}" for n in range(gpus)]  # each with one GPU
        self.machine_of = {node: f"machine of {node}" for node in self.nodes}
        self.workers: dict[str, WorkerSight] = {}
        self.avoid: dict[str, Collection[str]] = {}  # by name, nodes

    def become(self, name: str, state: WorkerState, job_id: str | None = None, silent_s: float = 0.0) -> None:
        """Put a worker into a state."""
        before = self.workers.get(name, WorkerSight(name, state))
        self.workers[name] = replace(before, state=state, job_id=job_id, silent_s=silent_s, rests="")

    def rest(self, name: str, why: str) -> None:
        """A worker takes no jobs; empty: it takes them again."""
        self.workers[name] = replace(self.workers[name], rests=why)

    def lose_device(self, name: str) -> None:
        """A worker is about to leave, and says why."""
        self.workers[name] = replace(self.workers[name], ends="device_lost")

    def on(self, node: str) -> str:
        """The name of the worker there; empty: none."""
        return next((worker.name for worker in self.workers.values() if worker.node == node), "")

    def crash(self, name: str) -> None:
        """End a worker without a word."""
        del self.workers[name]

    def pass_a_moment(self) -> None:
        """Pending workers get free GPUs and begin to load, loading ones are done, who leaves and has no job is gone."""
        for name, worker in list(self.workers.items()):
            if worker.state in (WorkerState.DRAINING, WorkerState.LEAVING) and worker.job_id is None:
                self.crash(name)
            elif worker.ends:
                self.workers[name] = replace(worker, state=WorkerState.LEAVING, job_id=None)
            elif worker.state is not WorkerState.PENDING:
                self.workers[name] = replace(worker, state=NEXT.get(worker.state, worker.state))
            elif node := self._free_node(self.avoid.get(name, ())):
                self.workers[name] = replace(worker, state=NEXT[worker.state], node=node, machine=self.machine_of[node])

    def _free_node(self, avoid: Collection[str]) -> str:
        return next((node for node in self.nodes if node not in avoid and not self.on(node)), "")


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

    def create(self, name: str, avoid: Collection[str] = ()) -> None:
        """Begin a worker."""
        if name in self._cluster.workers:
            raise FleetUnavailable(f"there is a worker {name}")
        self._cluster.become(name, WorkerState.PENDING)
        self._cluster.avoid[name] = avoid
        self._known.add(name)

    def drain(self, name: str) -> None:
        """It gives its job back and leaves."""
        self._cluster.become(name, WorkerState.DRAINING)

    def kill(self, name: str) -> None:
        """It is gone."""
        self._cluster.crash(name)
