"""What every worker pool does: the one on Ray, and the one on paper that the supervisor's tests stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from paper_pool import PaperCluster, PaperPool
from waiting import RAY_S, wait_for

from fastflow_ray.errors import FleetUnavailable
from orchestration.fleet_plan import FleetPlan
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
