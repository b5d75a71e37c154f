"""A card is kept by signs of life: on every queue, and no longer than they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from one_worker import LEASE_S, Clock
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.queue.worker_card import WorkerCard
from workers.card_keeper import CardKeeper

BEAT_S = 10.0


class Desk:
    """Two queues, a card to be shown on them, and a keeper at work."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queues = [MemoryQueue(name, QueueLimits(), self.clock) for name in ("a", "b")]
        self.card = WorkerCard("w", "cpu", "idle")
        self.keeper = CardKeeper(self.queues, self.make_card, LEASE_S, BEAT_S, self.clock)
        self.is_broken, self.defects = False, 0

    def make_card(self, model: str) -> WorkerCard:
        if self.is_broken:
            self.defects += 1
            raise RuntimeError("a defect")
        return self.card

    def shown(self) -> list[list[WorkerCard]]:
        return [list(queue.workers()) for queue in self.queues]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    desk.keeper.start()
    yield desk
    desk.keeper.close()


def test_it_is_laid_down_everywhere_and_taken_away(desk: Desk) -> None:
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
    desk.keeper.close()
    assert desk.shown() == [[], []]


def test_news_are_shown_at_once(desk: Desk) -> None:
    desk.card = WorkerCard("w", "cpu", "busy", "job-1")
    desk.keeper.heard_of()
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)


def test_without_a_sign_of_life_it_ends_and_with_the_next_it_is_there_again(desk: Desk) -> None:
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
    desk.clock.now_s += LEASE_S + 1
    assert desk.shown() == [[], []]
    desk.keeper.heard_of()
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)


def test_a_queue_out_of_reach_keeps_nobody_from_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(card: WorkerCard, ttl_s: float) -> None:
        raise QueueUnavailable("the cable is out; put it back")

    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
    with monkeypatch.context() as broken:
        broken.setattr(desk.queues[0], "sign_in", refuse)
        desk.clock.now_s += LEASE_S + 1
        desk.keeper.heard_of()
        wait_for(lambda: desk.shown() == [[], [desk.card]])
    desk.clock.now_s += BEAT_S
    desk.keeper.heard_of()
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)


def test_signs_of_life_between_two_beats_cost_the_queue_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
    laid: list[WorkerCard] = []
    monkeypatch.setattr(desk.queues[1], "sign_in", lambda card, ttl_s: laid.append(card))
    for _ in range(100):
        desk.keeper.heard_of()
    desk.card = WorkerCard("w", "cpu", "busy", "job-1")
    desk.keeper.heard_of()
    wait_for(lambda: laid)
    assert laid == [desk.card], "nothing was told before there was news"


def test_a_card_that_could_not_be_made_once_is_shown_at_the_next_sign_of_life(desk: Desk) -> None:
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
    desk.is_broken = True
    desk.keeper.heard_of()
    wait_for(lambda: desk.defects)
    desk.is_broken = False
    desk.card = WorkerCard("w", "cpu", "busy", "job-1")
    desk.keeper.heard_of()
    wait_for(lambda: desk.shown() == [[desk.card]] * 2)
