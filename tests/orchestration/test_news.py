"""What `up` prints of a fleet: each change once, and nothing while nothing changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.news import News
from orchestration.supervisor import FleetStatus
from orchestration.worker_pool import WorkerSight
from workers.status import WorkerState

FULL = "cannot write /store/check/1: No space left on device; free space on the disk"


def fleet(*workers: WorkerSight, died: int = 0) -> FleetStatus:
    return FleetStatus("m", workers=workers, exits={"died": died})


def worker(rests: str = "", state: WorkerState = WorkerState.IDLE) -> WorkerSight:
    return WorkerSight("w-0", state, rests=rests)


@pytest.fixture
def news() -> News:
    return News(Path("/tmp/logs"))


def test_deaths_are_told_once(news: News) -> None:
    assert list(news.of(fleet(worker()))) == []
    (one,) = news.of(fleet(worker(), died=1))
    assert one == "! a worker died; a job in hand is tried again when its lease has run out. The logs are in /tmp/logs"
    assert list(news.of(fleet(worker(), died=1))) == []
    (two,) = news.of(fleet(worker(), died=3))
    assert two.startswith("! 2 workers died;")


def test_a_new_supervisor_has_counted_nobody_yet(news: News) -> None:
    assert list(news.of(fleet(died=3)))
    assert list(news.of(fleet(died=0))) == []
    assert list(news.of(fleet(died=1)))


def test_one_line_when_workers_begin_to_rest_and_one_when_they_go_on(news: News) -> None:
    assert list(news.of(fleet(worker(), worker()))) == []
    (begun,) = news.of(fleet(worker(FULL), worker()))
    assert begun == f"! Workers rest (1 of 2), for the store keeps nothing; no job loses an attempt by it: {FULL}"
    assert list(news.of(fleet(worker(FULL), worker(FULL.replace("1", "2"))))) == []
    assert list(news.of(fleet(worker(FULL), worker()))) == []
    assert list(news.of(fleet(worker(), worker(state=WorkerState.BUSY)))) == [
        "The store keeps what it is given again; the workers go on."
    ]
    assert list(news.of(fleet(worker(), worker()))) == []
    assert len(list(news.of(fleet(worker(FULL))))) == 1, "the next time is told too"


def test_workers_that_left_do_not_go_on(news: News) -> None:
    assert list(news.of(fleet(worker(FULL))))
    assert list(news.of(fleet())) == []
    assert list(news.of(fleet(worker(state=WorkerState.LOADING)))) == []
    assert len(list(news.of(fleet(worker())))) == 1
