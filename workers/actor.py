"""A worker as a Ray actor pinned to one GPU: a shell around `Worker`, which knows nothing of Ray."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.errors import StatisticsMismatch, StatisticsUnavailable
from fastflow_ray.settings import Settings
from workers.config import WorkerConfig
from workers.metrics import RayMeter
from workers.node_drain import node_is_draining
from workers.status import WorkerStatus

log = logging.getLogger(__name__)

ANSWER_S = 30.0  # for the statistics actor, before a report is sent again
LOOK_S = 1.0  # between two looks whether the node is draining
HEARD_S = 10.0  # for its supervisor to hear why a worker ends
NODE_ID = "ray.io/node-id"  # the label that Ray gives every node

OPTIONS: dict[str, Any] = {
    "num_gpus": 1,
    "max_restarts": 0,  # the supervisor replaces a dead worker
    "max_task_retries": 0,  # the queue tries a job again
    "lifetime": "detached",  # a supervisor that starts anew finds its workers where they were
    "concurrency_groups": {"ctl": 4},  # so that a busy worker still answers
    # Several workers on one machine's cores would otherwise fight for all of them; a GPU's worker needs one.
    "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}},
}


class ActorSink:
    """The fleet's statistics behind the name of their actor: an `ObservationSink` for any thread."""

    def __init__(self, name: str, namespace: str | None) -> None:
        self._name = name
        self._namespace = namespace

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """Report; raises StatisticsUnavailable if the answer did not come, StatisticsMismatch if it is a refusal."""
        return self._ask("merge", worker, sequence, delta)

    def snapshot(self) -> str:
        """All the fleet knows; raises StatisticsUnavailable."""
        return self._ask("snapshot")

    def _ask(self, method: str, *arguments: Any) -> str:
        try:
            # By name each time: an actor that was made anew has another handle.
            actor = ray.get_actor(self._name, self._namespace)
            answer: str = ray.get(getattr(actor, method).remote(*arguments), timeout=ANSWER_S)
            return answer
        except StatisticsMismatch:
            raise
        except (ValueError, RayError) as error:  # ValueError: there is no actor of this name
            raise StatisticsUnavailable(f"no answer from the actor {self._name!r}: {error}") from error


class GpuWorker:
    """The actor's methods. It begins to work by itself, and is gone when that ends."""

    def __init__(self, config: WorkerConfig) -> None:
        from workers.worker import load_on_gpu, open_worker  # and with it torch, which the supervisor has no use for

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        sink: ObservationSink = Ledger()
        if config.statistics_actor:
            sink = ActorSink(config.statistics_actor, config.namespace)
        self._worker = open_worker(config, sink, RayMeter(), load_on_gpu)
        self._node = ray.get_runtime_context().get_node_id()
        self._machine = Settings.from_environment().machine or self._node
        self._asked = threading.Semaphore(0)  # since it ends
        # Said by whoever makes it, this would be lost if he died before the actor is there to hear it; the actor would
        # then keep its name and its GPU, and never do anything.
        ray.get_runtime_context().current_actor.run.remote()

    async def run(self) -> None:
        """Work until drained, then leave the node: the actor ends, and with it the hold on the GPU."""
        watch = asyncio.create_task(self._leave_with_the_node())
        (defect,) = await asyncio.gather(asyncio.to_thread(self._worker.run), return_exceptions=True)
        watch.cancel()
        if defect:
            log.error("! worker %s ends: %s", self._worker.status().name, defect, exc_info=defect)
        await self._be_heard()
        ray.actor.exit_actor()

    @ray.method(concurrency_group="ctl")  # type: ignore[untyped-decorator]  # Ray has no types
    async def status(self) -> WorkerStatus:
        """What the worker is doing, answered at once."""
        status = self._worker.status()
        if status.ends:
            self._asked.release()
        return replace(status, node=self._node, machine=self._machine)

    @ray.method(concurrency_group="ctl")  # type: ignore[untyped-decorator]  # Ray has no types
    async def drain(self) -> None:
        """Ask the worker to leave; the job in hand is given back at its next step."""
        self._worker.drain()

    async def _be_heard(self) -> None:
        """Before its GPU is anybody's again, its supervisor is to know why: who asks twice has heard the answer."""
        for _ in range(2 if self._worker.status().ends else 0):
            if not await asyncio.to_thread(self._asked.acquire, timeout=HEARD_S):
                return

    async def _leave_with_the_node(self) -> None:
        while not await asyncio.to_thread(node_is_draining):
            await asyncio.sleep(LOOK_S)
        self._worker.drain()


def spawn_worker(config: WorkerConfig, avoid: Collection[str] = ()) -> Any:
    """Begin a worker under its name and answer its handle; it stays pending until there is a GPU for it on a node that
    is not to be avoided.

    Raises ValueError if there is an actor of this name.
    """
    options = OPTIONS | {"name": config.name, "namespace": config.namespace}
    if avoid:
        options["label_selector"] = {NODE_ID: f"!in({','.join(sorted(avoid))})"}
    return ray.remote(**options)(GpuWorker).remote(config)
