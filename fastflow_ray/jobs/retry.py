"""When a failed job is tried again. Pure decisions: the random numbers are an argument, the clock is the queue's."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class RetryDecision:
    """What becomes of a job whose attempt failed."""

    again: bool  # False: to the dead letters
    delay_s: float = 0.0  # until the next attempt may start


@dataclass(frozen=True)
class RetryPolicy:
    """Capped exponential backoff with full jitter: delay ~ U(0, min(cap, base·2^(failures-1))).

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base_s: float = 5.0  # longest delay after the first failure
    cap_s: float = 300.0  # longest delay ever

    def decide(self, failures: int, max_attempts: int, retryable: bool, rng: Random) -> RetryDecision:
        """Judge after the `failures`-th failed attempt (1 for the first); crashes are not failures."""
        if not retryable or failures >= max_attempts:
            return RetryDecision(again=False)
        longest_s = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return RetryDecision(again=True, delay_s=rng.uniform(0.0, longest_s))
