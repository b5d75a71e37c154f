"""What every worker pool does: the one on Ray, and the one on paper that the supervisor's tests stand on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from paper_pool import PaperCluster, PaperPool
from waiting import RAY_S, wait_for

from fastflow_ray.errors import FleetUnavailable
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.worker_pool import WorkerPool
from workers.status import WorkerState

Pools = Callable[[], WorkerPool]  # each call: another pool over the same workers


@pytest.fixture(params=["paper", "ray"])
def pools(request: pytest.FixtureRequest) -> Iterator[tuple[Pools, str]]:
    """A way to look at the same workers with fresh eyes, and how their names begin."""
    if request.param == "paper":
        cluster = PaperCluster()
        yield lambda: PaperPool(cluster), "w-"
        return
    request.getfixturevalue("ray_cluster")
    from orchestration.ray_pool import RayPool

    its: FleetPlan = request.getfixturevalue("plan")()
    yield lambda: RayPool(its), its.worker_prefix
    last = RayPool(its)
    for worker in last.look():
        last.kill(worker.name)
    wait_for(lambda: all(worker.state is WorkerState.GONE for worker in last.look()), RAY_S)


def states(pool: WorkerPool) -> dict[str, str]:
    return {worker.name: worker.state.value for worker in pool.look()}


def pid_of(name: str) -> int:
    import ray

    return int(ray.get(ray.get_actor(name, NAMESPACE).__ray_call__.remote(lambda _: os.getpid())))


def ready(name: str) -> bool:
    import ray

    return bool(ray.get(ray.get_actor(name, NAMESPACE).status.remote()).state is WorkerState.IDLE)


def begin_where_nobody_is(name: str) -> None:
    """A worker of which there will be the name alone."""
    import ray

    from workers.actor import OPTIONS

    class Worker:
        def status(self) -> None: ...

    wanted = {"name": name, "namespace": NAMESPACE, "resources": {"a node that nobody has": 1}}
    ray.remote(**OPTIONS | wanted)(Worker).remote()


def looks_until(pool: WorkerPool, wanted: dict[str, str]) -> list[dict[str, str]]:
    looks = [states(pool)]

    def arrived() -> bool:
        looks.append(states(pool))
        return looks[-1] == wanted

    wait_for(arrived, RAY_S)
    return looks


@pytest.mark.timeout(400)
def test_the_life_of_workers(pools: tuple[Pools, str]) -> None:
    make, prefix = pools
    pool, first, second = make(), f"{prefix}0", f"{prefix}1"
    assert states(pool) == {}
    pool.create(first)
    pool.create(second)
    with pytest.raises(FleetUnavailable):
        pool.create(first)
    looks = looks_until(pool, {first: "idle", second: "idle"})
    assert all(set(look.values()) <= {"pending", "loading", "idle"} for look in looks)

    successor = make()
    wait_for(lambda: states(successor) == {first: "idle", second: "idle"}, RAY_S)

    pool.drain(first)
    pool.kill(second)
    looks = looks_until(pool, {})
    for name in (first, second):
        assert sum(look.get(name) == "gone" for look in looks) == 1


@pytest.mark.parametrize("pools", ["ray"], indirect=True)
@pytest.mark.timeout(400)
def test_an_adopted_worker_that_does_not_answer_is_not_taken_for_one_that_is_not_there(
    pools: tuple[Pools, str],
) -> None:
    """One waits for a node that nobody has, and the other is frozen, when the next supervisor comes."""
    make, prefix = pools
    there, waits = f"{prefix}0", f"{prefix}1"
    begin_where_nobody_is(waits)
    make().create(there)
    wait_for(lambda: ready(there), RAY_S)
    pid = pid_of(there)
    os.kill(pid, signal.SIGSTOP)
    try:
        successor = make()
        assert states(successor) == {there: "adopted", waits: "pending"}
        silent_s = {worker.name: worker.silent_s for worker in successor.look()}
        assert silent_s[there] > silent_s[waits] == 0
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: states(successor) == {there: "idle", waits: "pending"}, RAY_S)
