"""One thing and several, in what people read."""

from __future__ import annotations

import pytest

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.counted import counted
from fastflow_ray.queue.submission import full


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (100_000, "100,000 jobs")]
)  # fmt: skip
def test_a_number_of_things(number: int, text: str) -> None:
    assert counted(number, "job") == text


def test_words_that_take_no_s() -> None:
    assert counted(1, "trajectory", "trajectories") == "1 trajectory"
    assert counted(3, "trajectory", "trajectories") == "3 trajectories"


def test_sentences_say_it() -> None:
    statistics = Statistics()
    statistics.table("k", steps=4, arms=(0, 2), grid="g").runs = 1
    assert repr(statistics) == "Statistics('k': 1 run)"
    assert str(full("shapes", 1, None)).startswith("1 job waits in the queue 'shapes'")
    assert str(full("shapes", 2, None)).startswith("2 jobs wait in the queue 'shapes'")
