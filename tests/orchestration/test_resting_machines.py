"""The books on machines whose GPUs are lost, without a fleet."""

from __future__ import annotations

from orchestration.resting_machines import FIRST_REST_S, LONGEST_REST_S, WITHIN_S, RestingMachines
from orchestration.worker_pool import WorkerSight
from workers.status import WorkerState


def at_work(*nodes: str, machine: str = "gpu-7") -> list[WorkerSight]:
    return [WorkerSight(f"w on {node}", WorkerState.BUSY, node=node, machine=machine) for node in nodes]


def test_a_machine_of_many_gpus_that_goes_down_rests_once() -> None:
    """All its workers lose theirs together; on each of its nodes there is no worker to be."""
    machines = RestingMachines()
    machines.see(at_work("a", "b", "c"), now_s=0.0)
    for _ in range(8):
        machines.lost("gpu-7", now_s=0.0)
    assert machines.nodes(FIRST_REST_S - 1.0) == {"a", "b", "c"}
    assert machines.nodes(FIRST_REST_S) == frozenset()


def test_after_a_rest_one_loss_is_enough_until_it_has_done_well_for_an_hour() -> None:
    machines, now_s = RestingMachines(), 0.0
    machines.lost("gpu-7", now_s)
    rests_s = []
    for _ in range(6):
        machines.lost("gpu-7", now_s)
        began_s = now_s
        while machines.whys(now_s):
            now_s += 60.0
            machines.see(at_work("a"), now_s)
        rests_s.append(now_s - began_s)
    assert rests_s == [min(LONGEST_REST_S, FIRST_REST_S * 2**n) for n in range(6)]
    now_s += WITHIN_S
    machines.see(at_work("a"), now_s)
    machines.lost("gpu-7", now_s)
    assert machines.whys(now_s) == {}


def test_a_node_is_remembered_no_longer_than_its_machine_matters() -> None:
    machines = RestingMachines()
    machines.see(at_work("a"), now_s=0.0)
    for _ in range(2):
        machines.lost("gpu-7", now_s=0.0)
    machines.see(at_work("b", machine="gpu-8"), now_s=1.0)
    assert machines.nodes(1.0) == {"a"}
    machines.see([], now_s=FIRST_REST_S + WITHIN_S)
    assert machines._machine_of == {}
