"""Whose turn it is to audit: shared out over a fleet without a word between its workers.

What a fleet lacks, all of its workers see at once, and none knows what the others are about to do. So each takes a turn
only as often as its own share of the fleet's work, and a lot drawn from the job's own noise says when. Nothing else is
drawn: a job decides the same wherever it runs again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 0.25  # of a fleet that audits at a time, at most: what one finds makes the next ones cheaper


@dataclass
class Presence:
    """One worker's part in what the fleet learns about a key, since it first met the key."""

    met_at: int  # generations that the fleet knew then
    own: int = 0  # that this worker has finished and handed on since

    def share(self, runs: int, under_way: int = 0) -> float:
        """Its part, 0 to 1, of the generations by which the fleet's `runs` have grown; `under_way`, of its own, are
        among them. Before it has finished any, how many others there are cannot be told: it is the first there is, or
        leaves it to them."""
        own = self.own + under_way
        return own / max(runs - self.met_at, own) if own else float(runs == 0)


def chance(wanted: float, share: float, jobs_long: float, at_once: float = AT_ONCE) -> float:
    """That a worker's job is audited, in a fleet that lacks `wanted` audits, each as long as `jobs_long` jobs.

    Until the first of them is done, the others go on from job to job and hear of none. So turns are spread over that
    time: while an audit lasts about as many are begun as are lacking, however many workers there are, but in a small
    fleet only by about `at_once` of it. One worker alone begins each at once.
    """
    return min(wanted * share, max(share, at_once)) / (1 + (max(jobs_long, 1.0) - 1) * (1 - share))


def lot(noise: NDArray[np.float64]) -> float:
    """A number in [0, 1) that a generation's noise draws for it, the same for the same noise."""
    return int.from_bytes(hashlib.sha256(noise.tobytes()).digest()[:8]) / 2**64
