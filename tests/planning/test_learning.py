"""FastFlow over several generations: calibration, first pulls, credit, and what travels between workers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from fastflow_ray.bandit.policy_key import PolicyKey
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import InvalidInput, StatisticsMismatch
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.grid import fingerprint, flow_sigmas

SIGMAS = flow_sigmas(10, 3.0)
NOISE = torch.linspace(-1, 1, 6)
KEY = PolicyKey("m", "r", steps=10, shift=3.0, guidance=1.0, width=16, height=16, frames=1)


def velocity(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return torch.sin(6 * sigma) + 0.3 * x


def run(fast: FastFlow, times: int = 1, key: str | PolicyKey = "k"):
    """The trace of the last of so many generations."""
    return [fast.sample(velocity, NOISE, SIGMAS, key)[1] for _ in range(times)][-1]


def test_the_first_generation_is_full_and_sets_the_scale():
    fast = FastFlow()
    x, trace = fast.sample(velocity, NOISE, SIGMAS, "k")
    assert torch.equal(x, euler(velocity, NOISE, SIGMAS))
    table = fast.statistics.tables["k"]
    assert (trace.skipped, table.scale_runs, table.runs) == (0, 1, 1)
    assert table.mu == max(error for *_, error in trace.errors) / 10
    assert table.pulls[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert table.pulls[:, 1:].sum() == 0


def test_every_admissible_arm_comes_once_first_in_rising_order():
    fast = FastFlow()
    first_choices = [run(fast).skips[0] for _ in range(4)]
    assert first_choices == [(1, 0), (1, 2), (1, 4), (1, 6)]
    for _ in range(30):
        run(fast)
    pulls = fast.statistics.tables["k"].pulls
    assert (pulls[1] > 0).all()
    longest = 10 - 2 - np.arange(10)
    assert (pulls[np.array([0, 2, 4, 6]) > longest[:, None]] == 0).all()


def test_a_skip_is_credited_to_the_step_where_it_starts():
    fast = FastFlow()
    run(fast)
    before = fast.statistics.tables["k"].pulls.copy()
    trace = run(fast)
    assert trace.skips[:2] == [(1, 2), (4, 2)]
    after = fast.statistics.tables["k"]
    assert {(int(k), after.arms[a]) for k, a in np.argwhere(after.pulls - before)} == set(trace.skips)
    assert after.error_sum[1, 1] == trace.errors[0][2]


def test_once_every_arm_is_known_the_largest_bound_wins():
    fast = FastFlow(gamma=0.5)
    run(fast, times=4)
    table = fast.statistics.tables["k"]
    bounds = table.mu * np.array([0, 2, 4, 6]) - table.error_sum[1] + 0.5 * np.sqrt(np.log(4))
    assert table.pulls[1].tolist() == [1, 1, 1, 1]
    assert run(fast).skips[0] == (1, [0, 2, 4, 6][int(np.argmax(bounds))])


def test_the_same_statistics_and_noise_give_the_same_decisions():
    taught = FastFlow()
    run(taught, times=7)
    one, other = FastFlow(statistics=taught.statistics), FastFlow(statistics=taught.statistics)
    assert [run(one).skips for _ in range(5)] == [run(other).skips for _ in range(5)]
    assert taught.statistics.runs("k") == 7  # what was handed over was copied


def test_an_interrupted_calibration_sets_no_scale_but_its_errors_count():
    fast, seen = FastFlow(), []

    def interrupted(x, sigma):
        if len(seen) == 6:
            raise KeyboardInterrupt
        seen.append(sigma)
        return velocity(x, sigma)

    with pytest.raises(KeyboardInterrupt):
        fast.sample(interrupted, NOISE, SIGMAS, "k")
    table = fast.statistics.tables["k"]
    assert (table.scale_runs, table.runs, int(table.pulls.sum())) == (0, 0, 4)
    assert run(fast).skipped == 0
    assert table.scale_runs == 1


def test_what_was_learnt_is_taken_once_and_is_all_there_is():
    fast, taken = FastFlow(), Statistics()
    for times in (1, 2, 3):
        run(fast, times)
        taken = taken.merge(fast.take_delta())
    np.testing.assert_array_equal(taken.tables["k"].pulls, fast.statistics.tables["k"].pulls)
    np.testing.assert_allclose(taken.tables["k"].error_sum, fast.statistics.tables["k"].error_sum, rtol=1e-12)
    assert taken.runs("k") == fast.statistics.runs("k") == 6
    assert not fast.take_delta()


def test_adopting_a_snapshot_keeps_what_was_not_yet_taken():
    fleet, fast = FastFlow(), FastFlow()
    run(fleet, times=5)
    run(fast, times=2)
    fast.adopt(fleet.statistics)
    assert fast.statistics.runs("k") == 7
    assert fast.take_delta().runs("k") == 2
    fast.adopt(fleet.statistics)
    assert fast.statistics.runs("k") == 5
    run(fast)
    assert (fleet.statistics.runs("k"), fast.statistics.runs("k")) == (5, 6)


def test_a_snapshot_that_several_adopt_stays_as_it_is():
    fleet, one, other = FastFlow(), FastFlow(), FastFlow()
    for key in ("k", "untouched"):
        run(fleet, times=2, key=key)
    snapshot = Statistics.from_json(fleet.statistics.to_json())
    before = snapshot.to_json()
    one.adopt(snapshot)
    other.adopt(snapshot)
    for pace in ({}, {"evaluations": 5}):
        one.sample(velocity, NOISE, SIGMAS, "k", **pace)
        one.sample(velocity, NOISE, SIGMAS, "k", **pace)
    assert snapshot.to_json() == other.statistics.to_json() == before
    assert one.statistics.to_json() == snapshot.merge(one.take_delta()).to_json() != before
    assert one.statistics.tables["untouched"] is snapshot.tables["untouched"]


def test_a_worker_that_adopts_needs_no_calibration_of_its_own():
    fleet, fast = FastFlow(), FastFlow()
    run(fleet)
    fast.adopt(Statistics.from_json(fleet.statistics.to_json()))
    assert run(fast).skipped > 0


def test_without_a_key_grid_and_shape_tell_calls_apart():
    fast = FastFlow()
    fast.sample(velocity, NOISE, SIGMAS)
    fast.sample(velocity, NOISE, flow_sigmas(10, 4.0))
    fast.sample(velocity, NOISE[:3], SIGMAS)
    fast.sample(velocity, NOISE, SIGMAS)
    assert sorted(table.runs for table in fast.statistics.tables.values()) == [1, 1, 2]


def test_a_policy_key_its_arms_and_its_grid_name_a_table():
    fast = FastFlow()
    run(fast, key=KEY)
    assert list(fast.statistics.tables) == [f"{KEY}:arms0-2-4-6:grid{fingerprint(SIGMAS)}"]


@pytest.mark.parametrize("key", [KEY, ""], ids=["policy key", "no key"])
def test_other_arms_and_another_grid_learn_apart_and_never_mismatch(key):
    fleet = FastFlow()
    run(fleet, times=3, key=key)
    newer = FastFlow(arms=(0, 1), statistics=fleet.statistics)
    assert run(newer, key=key).skipped == 0, "a calibration of its own"
    assert run(newer, key=key).skipped > 0
    newer.sample(velocity, NOISE, flow_sigmas(10, 4.0), key)
    assert sorted(table.runs for table in newer.statistics.tables.values()) == [1, 2, 3]
    fleet.adopt(newer.statistics)
    assert run(fleet, key=key).skipped > 0


def test_under_a_key_of_ones_own_another_grid_and_other_arms_are_refused():
    fast = FastFlow()
    run(fast)
    with pytest.raises(StatisticsMismatch, match="'k'"):
        fast.sample(velocity, NOISE, flow_sigmas(10, 4.0), "k")
    with pytest.raises(StatisticsMismatch, match="'k'"):
        run(FastFlow(arms=(0, 1), statistics=fast.statistics))


def test_other_arms_are_obeyed():
    fast = FastFlow(arms=(0, 1, 3))
    pulled = {skipped for _ in range(10) for _, skipped in run(fast).skips}
    assert pulled == {0, 1, 3}


@pytest.mark.parametrize("arms", [(), (2, 4), (0, 4, 2), (0, 2, 2), (0, -2), 5, (0, 1.5), (0, "2")])
def test_arms_that_make_no_sense_are_refused(arms):
    with pytest.raises(InvalidInput, match="rise strictly from 0"):
        FastFlow(arms=arms)


@pytest.mark.parametrize("gamma", [-1.0, float("nan"), float("inf"), "2", None])
def test_a_gamma_that_makes_no_sense_is_refused(gamma):
    with pytest.raises(InvalidInput, match="gamma"):
        FastFlow(gamma=gamma)


def test_statistics_are_not_taken_as_the_text_they_are_kept_in():
    with pytest.raises(InvalidInput, match=r"Statistics\.from_json"):
        FastFlow(statistics=FastFlow().statistics.to_json())


def test_a_user_with_a_sampler_of_their_own_needs_no_diffusers():
    program = "import sys, fastflow_ray.fastflow; sys.exit('diffusers' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
