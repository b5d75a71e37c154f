"""Which jobs are audited, of all that see their fleet lack audits: every job draws a lot for itself.

What a fleet lacks, all of its workers see at once, and none knows what the others are about to do. If every job that
sees one audit lacking were audited, a hundred workers would make a hundred. Tickets would prevent that, but whoever
handed them out would have to know which died with their workers. So nobody is asked: a job is audited with a
probability, `chance`, by which the whole fleet begins about as many audits as it lacks.

The lot is drawn from the job's own noise and from nothing else. So a job decides the same wherever it runs again, and
the videos that are audited are a fair sample: the lot knows nothing of what they show.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

MOST_AT_ONCE = 0.25  # of a fleet's workers that audit at a time: what one audit finds makes the next ones cheaper


def chance(lacking: float, fleet_share: float, jobs_long: float, most_at_once: float = MOST_AT_ONCE) -> float:
    """The probability with which a job is audited; certain from 1 on.

    Say that n workers do as much as each other, and that an audit takes as long as L jobs. Nobody hears of an audit
    before it is done. So all jobs that are decided on while one audit lasts see the same `lacking`, and together they
    should begin no more than that. What should be begun meanwhile, over the decisions that are made meanwhile, is the
    chance of each:

    - Begun: what is lacking, but by no more than `most_at_once` of the workers, or by one where that is less than one:
      min(lacking, max(1, n·most_at_once)). That holds only small fleets back, for large ones have workers enough.
    - Decisions: each of the n workers makes one at once. The one whose job is audited makes no other meanwhile. The
      others go on from job to job and make L − 1 more: n + (n − 1)·(L − 1).

    With s = 1/n, and both divided by n:

        chance = min(lacking·s, max(s, most_at_once)) / (1 + (1 − s)·(L − 1))

    One worker alone, s = 1, begins each audit at once.

    Args:
        lacking: audits that the fleet lacks.
        fleet_share: s, this worker's part of the fleet's work, 0 to 1.
        jobs_long: L; what is less than 1 counts as 1.
        most_at_once: infinite for a fleet of which all may audit at a time.
    """
    begun = min(lacking * fleet_share, max(fleet_share, most_at_once))
    decisions = 1 + (1 - fleet_share) * (max(jobs_long, 1.0) - 1)
    return begun / decisions


def lot(noise: NDArray[np.float64]) -> float:
    """A number in [0, 1), evenly distributed over different noises and always the same for the same."""
    return int.from_bytes(hashlib.sha256(noise.tobytes()).digest()[:8]) / 2**64
