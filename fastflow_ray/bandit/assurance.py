"""What the next generation keeps at least, with a given probability, by the audits there were.

Of many audits the ranks alone tell, whatever the distribution. Until there are so many, fidelities are taken as normal,
about as much spread as those of the other plans: a handful of audits far above what was asked for tells that it is
kept, long before a failure could have been seen. As that rests on an assumption, only half of the failures that a user
allows are allowed then, and a sixth once it has been seen to deceive: where a plan's video fell, out of any
distribution about its others, as it falls into another mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist, fmean, median

FEW = 6  # audits, before which nothing is assured
CONVINCING = 19  # audits, before which ranks are not relied on, however many failures are allowed
SPREAD_DB = 8.0  # standard deviation of fidelities that is supposed before any was seen; of `shapes` 4 to 10
SUPPOSED = 4  # audits that this supposition counts as
ALIKE = 8  # audits that the spread of all plans counts as where one plan's is asked for
LOOKS = 2.0  # by so much fewer failures are allowed while few tell: for the boldest of many budgets is chosen, and anew
LOOKS_AFTER_A_FALL = 6.0  # where fidelities are known not to be normal
FALL = 4.0  # standard deviations, as plans have them in common, below the middle of its plan: a fall
FALLS_AMONG = 3  # audits at least, which have a middle to fall from
RAREST = 1e-9  # of failures that are told apart


def common_spread_db(plans_db: Iterable[Sequence[float]]) -> float:
    """Standard deviation of the fidelities that a plan keeps, by the audits of every plan: the median, for some fail
    altogether on some videos, where each plan speaks for as many audits as it had, `FEW` at most.

    All of them were walked on the same videos: so however many they are, they tell as much as the one heard most.
    """
    heard = [plan for plan in plans_db if len(plan) > 1]
    telling = max((len(plan) - 1 for plan in heard), default=0)
    seen = median([_squares(_cut(plan)) / (len(plan) - 1) for plan in heard for _ in plan[1:FEW]] or [0.0])
    return math.sqrt((SUPPOSED * SPREAD_DB**2 + telling * seen) / (SUPPOSED + telling))


def has_fallen(plan_db: Sequence[float], spread_db: float) -> bool:
    """Whether one of a plan's audits fell, by the spread that plans have in common."""
    return len(plan_db) >= FALLS_AMONG and median(plan_db) - min(plan_db) > FALL * spread_db


def assured_db(
    fidelities_db: Sequence[float], confidence: float, spread_db: float = SPREAD_DB, looks: float = LOOKS
) -> float:
    """As `foretold_db`, but −inf before there are `FEW`: what may be promised."""
    return foretold_db(fidelities_db, confidence, spread_db, looks) if len(fidelities_db) >= FEW else -math.inf


def foretold_db(
    fidelities_db: Sequence[float], confidence: float, spread_db: float = SPREAD_DB, looks: float = LOOKS
) -> float:
    """The fidelity that the next generation falls below with probability 1 − confidence at most; −inf where nothing was
    audited. It never rises with the confidence; `spread_db` is what plans have in common.

    Of m audits and the next one, all ranks of the next are equally likely: so the ⌈confidence·(m + 1)⌉-th largest
    holds without any assumption about the distribution (Vovk, Gammerman and Shafer 2005), and is taken once one of the
    m may be worse. Until then the next one of a normal distribution is foretold, of which mean and spread are as little
    known as so few tell (under a normal-inverse-chi-squared prior it is distributed as Student's t: Gelman et al. 2013,
    section 3.3), with `looks` times fewer failures allowed; and the second worst that was seen at most.
    """
    seen = sorted(fidelities_db, reverse=True)
    if not seen:
        return -math.inf
    if is_proven(len(seen), confidence):
        return float(seen[_rank(len(seen), confidence) - 1])
    return min(_of_normal_db(seen, confidence, spread_db, looks), float(seen[-2:][0]))


def is_proven(audits: int, confidence: float) -> bool:
    """Whether so many audits tell by ranks, and by no assumption."""
    return audits >= CONVINCING and _rank(audits, confidence) < audits


def _rank(audits: int, confidence: float) -> int:
    return math.ceil(confidence * (audits + 1))


def _of_normal_db(seen: Sequence[float], confidence: float, spread_db: float, looks: float) -> float:
    cut, count = _cut(seen), len(seen)
    freedom = ALIKE + count - 1
    spread = math.sqrt((ALIKE * spread_db**2 + _squares(cut)) / freedom * (1 + 1 / count))
    return fmean(cut) - student_quantile(1 - max((1 - confidence) / looks, RAREST), freedom) * spread


def _cut(seen: Sequence[float]) -> list[float]:
    """What lies further above the median than the worst lies below it counts as no further: that some videos come out
    closer than others is no reason for doubt."""
    highest = 2 * median(seen) - min(seen)
    return [min(db, highest) for db in seen]


def _squares(seen: Sequence[float]) -> float:
    mean = fmean(seen)
    return sum((db - mean) ** 2 for db in seen)


def student_quantile(probability: float, freedom: int) -> float:
    """Of Student's t with so many degrees of freedom, 8 or more (Abramowitz and Stegun 26.7.5): to three digits for
    probabilities from 0.0005 to 0.9995."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))
