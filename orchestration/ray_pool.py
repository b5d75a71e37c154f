"""Workers as Ray actors. Knows how to find, make and end them; not how many there should be."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import list_named_actors

from fastflow_ray.errors import FleetUnavailable
from orchestration.actor_life import is_alive
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.worker_pool import WorkerSight
from workers.actor import spawn_worker
from workers.status import WorkerState, WorkerStatus

ANSWER_S = 0.2  # for the workers' answers within a look; later ones are read at the next


@dataclass
class Member:
    """One worker: how to speak to it, the question under way, and the last answer."""

    handle: Any
    question: Any
    asked_s: float
    sight: WorkerSight
    adopted: bool  # made by an earlier supervisor, which alone would know how far it was

    def hear(self) -> None:
        """Take the answer, and ask again."""
        try:
            status = ray.get(self.question)
            self.sight = _sight(status)
        except RayError:
            pass  # it died between question and answer; the next look will miss its name
        self.question, self.asked_s = self.handle.status.remote(), time.monotonic()

    def grow_silent(self) -> None:
        """Note how long the question has been waiting for a worker that is there to hear it."""
        if self.adopted and self.sight.state is WorkerState.PENDING and is_alive(self.handle):
            self.sight, self.asked_s = replace(self.sight, state=WorkerState.ADOPTED), time.monotonic()
        if self.sight.state is not WorkerState.PENDING:
            self.sight = replace(self.sight, silent_s=time.monotonic() - self.asked_s)


class RayPool:
    """A `WorkerPool` of one plan's workers; the names of Ray's actors say who belongs to it."""

    def __init__(self, plan: FleetPlan) -> None:
        self._plan = plan
        self._members: dict[str, Member] = {}

    def look(self) -> Sequence[WorkerSight]:
        """Ask all workers at once; who has not answered yet is shown as it last was, or as adopted."""
        with _ray_answers():
            names = self._names()
            gone = [WorkerSight(name, WorkerState.GONE) for name in self._members.keys() - names]
            for sight in gone:
                del self._members[sight.name]
            for name in names - self._members.keys():
                self._meet(name)
            self._listen()
        return [*gone, *(member.sight for member in self._members.values())]

    def create(self, name: str, avoid: Collection[str] = ()) -> None:
        """Begin a worker actor."""
        with _ray_answers():
            self._remember(name, spawn_worker(self._plan.worker(name), avoid), adopted=False)

    def drain(self, name: str) -> None:
        """The worker leaves by itself."""
        self._members[name].handle.drain.remote()

    def kill(self, name: str) -> None:
        """Ray ends the worker's process, or forgets that it was to have one."""
        with _ray_answers():
            ray.kill(self._members[name].handle)

    def _names(self) -> set[str]:
        named = list_named_actors(all_namespaces=True)
        ours = {actor["name"] for actor in named if actor["namespace"] == NAMESPACE}
        return {name for name in ours if name.startswith(self._plan.worker_prefix)}

    def _meet(self, name: str) -> None:
        self._remember(name, ray.get_actor(name, NAMESPACE), adopted=True)

    def _remember(self, name: str, handle: Any, adopted: bool) -> None:
        sight = WorkerSight(name, WorkerState.PENDING)
        self._members[name] = Member(handle, handle.status.remote(), time.monotonic(), sight, adopted)

    def _listen(self) -> None:
        asked = {member.question: member for member in self._members.values()}
        answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S) if asked else ([], [])
        for question in answered:
            asked[question].hear()
        for member in asked.values():
            member.grow_silent()


def _sight(status: WorkerStatus) -> WorkerSight:
    return WorkerSight(
        status.name,
        status.state,
        status.job_id,
        status.publishing,
        status.rests,
        ends=status.ends,
        node=status.node,
        machine=status.machine,
    )


@contextmanager
def _ray_answers() -> Iterator[None]:
    try:
        yield
    except (RayError, ValueError) as error:  # ValueError: a name that is taken, or no longer there
        raise FleetUnavailable(f"Ray does not answer as expected: {error}") from error
