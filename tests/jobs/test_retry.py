"""Who gets another attempt, and after how long."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray import errors
from fastflow_ray.jobs.retry import RetryDecision, RetryPolicy, is_retryable


def family(root: type[errors.FastFlowError]) -> Iterator[type[errors.FastFlowError]]:
    yield root
    for child in root.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("error", [*family(errors.Retryable)])
def test_retryable_classes_have_retryable_codes(error: type[errors.FastFlowError]) -> None:
    assert is_retryable(error.code)


@pytest.mark.parametrize("error", [*family(errors.InvalidInput), errors.CorruptPayload, errors.InvalidOutput])
def test_permanent_classes_have_permanent_codes(error: type[errors.FastFlowError]) -> None:
    assert not is_retryable(error.code)


def test_cancelled_is_final_and_the_unknown_gets_a_chance() -> None:
    assert not is_retryable("cancelled")
    assert is_retryable("worker_lost")
    assert is_retryable("internal")
    assert is_retryable("never heard of")


@given(st.integers(1, 10_000), st.integers())
def test_the_delay_is_jittered_under_a_doubling_cap(failures: int, seed: int) -> None:
    policy = RetryPolicy(base_s=2.0, cap_s=60.0)
    decision = policy.decide(failures, max_attempts=failures + 1, retryable=True, rng=Random(seed))
    assert decision.again
    assert 0.0 <= decision.delay_s <= min(60.0, 2.0 * 2.0 ** min(failures - 1, 10))


def test_the_jitter_is_full_and_comes_from_the_rng() -> None:
    delays = {RetryPolicy().decide(3, 9, retryable=True, rng=Random(seed)).delay_s for seed in range(200)}
    assert min(delays) < 2.0
    assert max(delays) > 18.0
    once = RetryPolicy().decide(3, 9, retryable=True, rng=Random(7))
    assert once == RetryPolicy().decide(3, 9, retryable=True, rng=Random(7))


def test_the_last_attempt_and_permanent_errors_end_the_job() -> None:
    assert RetryPolicy().decide(3, 3, retryable=True, rng=Random(0)) == RetryDecision(again=False)
    assert RetryPolicy().decide(1, 3, retryable=False, rng=Random(0)) == RetryDecision(again=False)
    assert RetryPolicy().decide(2, 3, retryable=True, rng=Random(0)).again
