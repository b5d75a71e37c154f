"""What may be asked of a generation's pace."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from fastflow_ray.errors import InvalidInput
from fastflow_ray.pace import Pace, asked
from fastflow_ray.planning.learned_plan import every_step


@pytest.mark.parametrize(
    ("pace", "remedy"),
    [
        ({}, "exactly one"),
        ({"evaluations": 10, "speedup": 3.0}, "exactly one"),
        ({"evaluations": 10, "plan": every_step(10)}, "exactly one"),
        ({"evaluations": 1}, "whole number from 2"),
        ({"evaluations": 10.5}, "whole number from 2"),
        ({"speedup": 0.5}, "from 1"),
        ({"speedup": math.nan}, "from 1"),
        ({"speedup": math.inf}, "from 1"),
        ({"fidelity_db": 0.0}, "above 0"),
        ({"fidelity_db": math.nan}, "above 0"),
        ({"fidelity_db": 40.0, "confidence": 1.0}, "between 0 and 1"),
        ({"fidelity_db": 40.0, "confidence": math.nan}, "between 0 and 1"),
        ({"evaluations": 10, "confidence": 0.9}, "leave it out"),
        ({"evaluations": "10"}, "whole number from 2"),
        ({"speedup": "2.6"}, "from 1"),
        ({"fidelity_db": "40"}, "above 0"),
        ({"fidelity_db": [40]}, "above 0"),
        ({"fidelity_db": 40.0, "confidence": None}, "between 0 and 1"),
        ({"speedup": 10**400}, "from 1"),
        ({"fidelity_db": -(10**400)}, "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(pace, remedy):
    with pytest.raises(InvalidInput, match=remedy):
        Pace(**pace)


@pytest.mark.parametrize("pace", [{"speedup": "2.6"}, {"evaluations": "8"}, {"evaluations": torch.tensor(8)}])
def test_a_number_that_is_held_by_something_else_is_refused_as_what_it_is(pace):
    ((name, given),) = pace.items()
    with pytest.raises(InvalidInput, match=f"^{name} = {re.escape(repr(given))} is"):
        Pace(**pace)


@pytest.mark.parametrize(
    ("pace", "remedy"),
    [
        (Pace(evaluations=31), "ask for 2 to 30"),
        (Pace(speedup=100.0), "ask for 15 at most"),
        (Pace(plan=every_step(31)), "plan for this grid"),
    ],
)
def test_what_a_grid_cannot_have_is_refused_with_a_remedy(pace, remedy):
    with pytest.raises(InvalidInput, match=remedy):
        pace.check(30)


def test_whole_numbers_of_numpy_are_whole():
    made = Pace(evaluations=np.int64(19)).evaluations_for(50)
    assert (made, type(made)) == (19, int)


def test_a_speedup_is_a_number_of_evaluations():
    assert Pace(speedup=2.6).evaluations_for(50) == 19
    assert Pace(speedup=15.0).evaluations_for(30) == 2
    assert Pace(speedup=1).evaluations_for(50) == Pace(evaluations=50).evaluations_for(50) == 50
    Pace(fidelity_db=40.0, confidence=0.9).check(50)


def test_nothing_asked_is_no_pace():
    assert asked() is None
    assert asked(evaluations=19) == Pace(evaluations=19)
    with pytest.raises(InvalidInput):
        asked(confidence=0.9)


def test_a_client_may_speak_of_a_pace_without_torch():
    program = "import sys, fastflow_ray.pace; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
