"""Ctrl-C while Ray starts is neither lost nor early."""

from __future__ import annotations

import signal
import threading

import pytest

from orchestration.held_interrupt import held_interrupt


def interrupted(done: list[str], times: int) -> None:
    """What Ray does: compiled code in which an interrupt is printed and forgotten."""
    with held_interrupt():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            done.append("swallowed")
        if times == 2:
            signal.raise_signal(signal.SIGINT)
        done.append("finished")


def failing_after_an_interrupt() -> None:
    with held_interrupt():
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("it did not start")


def test_it_takes_effect_if_what_ran_has_failed() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing_after_an_interrupt()


def test_it_takes_effect_at_the_end_even_if_what_ran_would_have_swallowed_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done, times=1)
    assert done == ["finished"]
    assert capfd.readouterr().err.count("Ctrl-C was heard") == 1


def test_a_second_one_takes_effect_at_once() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done, times=2)
    assert not done


def test_afterwards_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_may_start_a_fleet_too() -> None:
    reached = threading.Event()

    def start() -> None:
        with held_interrupt():
            reached.set()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert reached.is_set()
