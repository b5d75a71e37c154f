"""The fleet's statistics in a process of their own that a test may kill, as Ray keeps them in an actor."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from forks import end_with_the_test, forks
from waiting import wait_for

from fastflow_ray.errors import FastFlowError, StatisticsUnavailable
from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.arm_statistics import FleetStatistics
from orchestration.statistics_by_model import StatisticsByModel


class StatisticsProcess:
    """An `ObservationSink`: every question is a connection, and without an answer it is to be asked again."""

    def __init__(self, redis_url: str, model: str, folder: Path) -> None:
        self._place = (redis_url, model, str(folder / "socket"))
        self._start()

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """As the actor's."""
        return self._ask("merge", worker, sequence, delta)

    def snapshot(self) -> str:
        """As the actor's."""
        return self._ask("snapshot")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()
        self._process.close()

    def kill_and_start(self) -> None:
        """Its successor knows what Redis knows."""
        self.kill()
        self._start()

    def _start(self) -> None:
        Path(self._place[2]).unlink(missing_ok=True)
        self._process = forks.Process(target=_answer, args=self._place)
        self._process.start()
        wait_for(Path(self._place[2]).exists)

    def _ask(self, *question: str | int) -> str:
        try:
            with Client(self._place[2], "AF_UNIX") as line:
                line.send(question)
                answer = line.recv()
        except (OSError, EOFError) as silence:
            raise StatisticsUnavailable(f"no answer: {silence}") from silence
        if isinstance(answer, FastFlowError):
            raise answer
        return str(answer)


def _answer(redis_url: str, model: str, address: str) -> None:
    end_with_the_test()
    statistics = StatisticsByModel({model: FleetStatistics(StatisticsStore(redis_url, model))})
    with Listener(address, "AF_UNIX", backlog=16) as door:
        while True:
            with suppress(OSError, EOFError), door.accept() as line:
                line.send(_said(statistics, line))


def _said(statistics: StatisticsByModel, line: Connection) -> str | FastFlowError:
    method, *arguments = line.recv()
    try:
        answer: str = getattr(statistics, method)(*arguments)
    except FastFlowError as refusal:
        return refusal
    return answer
