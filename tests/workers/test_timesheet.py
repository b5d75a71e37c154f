"""All of a worker's time is busy or idle, and the meter hears of both."""

from __future__ import annotations

from contextlib import suppress

from one_worker import Clock
from shop import Sums

from workers.timesheet import Timesheet


def test_work_is_busy_even_if_it_fails_and_all_else_is_idle() -> None:
    sums, clock = Sums(), Clock()
    sheet = Timesheet(sums, clock)
    clock.now_s += 2.0
    with sheet.working("a"):
        clock.now_s += 10.0
    clock.now_s += 0.5
    sheet.count_idle()
    clock.now_s += 0.5
    with suppress(ZeroDivisionError), sheet.working("a"):
        clock.now_s += 5.0
        raise ZeroDivisionError
    assert (sheet.busy_s, sheet.idle_s) == (sums.busy_s, sums.idle_s) == (15.0, 3.0)


def test_to_wait_for_a_job_is_idle_and_counted_beside() -> None:
    sums, clock = Sums(), Clock()
    sheet = Timesheet(sums, clock)
    clock.now_s += 2.0
    sheet.begin("a")
    with sheet.waiting():
        clock.now_s += 1.0
    clock.now_s += 0.5
    sheet.count_idle()
    assert (sheet.idle_s, sums.idle_s, sums.waiting_s) == (1.5, 1.5, 1.0), "nothing of before the beginning"
