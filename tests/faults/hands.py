"""Clients and workers as threads: what they ask of a queue, without a model and a store, as fast as it answers."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stage import Stage, job_of

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.contract import Claim, JobQueue, Verdict
from fastflow_ray.queue.reaper import Reaper

LEASE_S, GRACE_S = 1.0, 1.0
ACCEPTED = {"fence": 0}  # one result for all attempts: what is published is not these tests' matter


@contextmanager
def threads(count: int, run: Callable[[int, threading.Event], None]) -> Iterator[threading.Event]:
    """`run(number, leave)` in so many threads; a defect of one of them is raised at the end."""
    leave = threading.Event()
    defects: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            run(number, leave)
        except Exception as defect:  # noqa: BLE001
            defects.append(defect)

    running = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    try:
        yield leave
    finally:
        leave.set()
        for thread in running:
            thread.join()
    if defects:
        raise ExceptionGroup("in threads", defects)


@contextmanager
def clients(stage: Stage, count: int, url: str = "", pause_s: float = 0.02) -> Iterator[threading.Event]:
    """They submit one job after another, each until it is acknowledged."""

    def submit(number: int, leave: threading.Event) -> None:
        queue = stage.recorded(f"client-{number}", url)
        while not leave.wait(pause_s):
            seed = next(stage.job_seeds)
            while not _acknowledged(queue, seed) and not leave.is_set():
                pass

    with threads(count, submit) as leave:
        yield leave


def _acknowledged(queue: JobQueue, seed: int) -> bool:
    try:
        queue.submit(job_of(seed), idempotency_key=f"job {seed}")
    except QueueUnavailable:
        return False
    return True


def submit_again(stage: Stage, seeds: list[int]) -> None:
    """As a client does who never got what he was promised."""
    queue = stage.recorded("client-again")
    for seed in seeds:
        assert _acknowledged(queue, seed)


@contextmanager
def hands(
    stage: Stage, count: int, url: str = "", work_s: float = 0.02, lease_s: float = LEASE_S
) -> Iterator[threading.Event]:
    """Workers: claim, beat, complete, again."""

    def work(number: int, leave: threading.Event) -> None:
        queue, nonce = stage.recorded(f"hand-{number}", url), ""
        while not leave.is_set():
            nonce = nonce or secrets.token_hex(8)
            try:
                claim = queue.claim(f"hand-{number}", lease_s, nonce)
                nonce = ""  # it was answered
                _one_job(queue, claim, work_s)
            except QueueUnavailable:
                leave.wait(0.02)

    with threads(count, work) as leave:
        yield leave


def _one_job(queue: JobQueue, claim: Claim | None, work_s: float) -> None:
    if claim is None:
        return queue.wait(0.2)
    time.sleep(work_s)
    if queue.heartbeat(claim) is not Verdict.LOST:
        queue.complete(claim, ACCEPTED)
    return None


@contextmanager
def reaping(stage: Stage, url: str = "", grace_s: float = GRACE_S) -> Iterator[threading.Event]:
    """A reaper that looks ten times a second."""

    def reap(_: int, leave: threading.Event) -> None:
        reaper = Reaper(stage.recorded("reaper", url), grace_s)
        while not leave.wait(0.1):
            try:
                reaper.tick()
            except QueueUnavailable:
                continue

    with threads(1, reap) as leave:
        yield leave
