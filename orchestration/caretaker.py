"""How the fleet's two caretakers, supervisor and statistics, are placed in a Ray cluster and found there again."""

from __future__ import annotations

import time
from typing import Any

import ray

from fastflow_ray.errors import FleetUnavailable
from orchestration.fleet_plan import NAMESPACE, FleetPlan

ANSWER_S = 60.0  # a caretaker that Ray is just starting anew answers when it is there
FORGET_S = 10.0  # for Ray to free the name of an actor that was ended
POLL_S = 0.05


def start_caretaker(kind: type, name: str, plan: FleetPlan) -> Any:
    """The handle of the actor of this name, made from `kind` unless it runs already, by the same plan.

    It lives on the head, which outlasts the GPU nodes, and beyond the process that called it into being. Ray starts it
    anew wherever it dies: what it must not forget is in Redis. One that follows another plan is replaced.
    """
    handle = _start(kind, name, plan)
    told = ray.get(handle.plan.remote(), timeout=ANSWER_S)
    if vars(told) == vars(plan):  # a plan of another version has other fields
        return handle
    end_caretaker(handle, name)
    return _start(kind, name, plan)


def end_caretaker(handle: Any, name: str) -> None:
    """End the actor and return when its name is free."""
    ray.kill(handle)
    deadline_s = time.monotonic() + FORGET_S
    while _exists(name):
        if time.monotonic() > deadline_s:
            raise FleetUnavailable(f"Ray still keeps the actor {name!r} {FORGET_S:.0f} s after it was ended; try again")
        time.sleep(POLL_S)


def _start(kind: type, name: str, plan: FleetPlan) -> Any:
    options = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        # No GPU, and no process that looks for one. It is not hidden by CUDA_VISIBLE_DEVICES in a runtime environment:
        # the workers would inherit that from the supervisor and find no GPU either.
        "num_cpus": 0,
        "resources": {"node:__internal_head__": 0.001},
    }
    return ray.remote(kind).options(**options).remote(plan)


def _exists(name: str) -> bool:
    try:
        ray.get_actor(name, NAMESPACE)
    except ValueError:
        return False
    return True
