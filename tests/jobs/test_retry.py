"""Who gets another attempt, and after how long."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.jobs.retry import RetryDecision, RetryPolicy


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
