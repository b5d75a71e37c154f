"""Which fidelity the next video of a plan keeps at least: a lower prediction bound, from the plan's audits.

An audit measures one fidelity: the PSNR, in dB, of a plan's video against the full run of the same seed. A plan has m
of them. Which fidelity does its next video keep with probability `confidence`? The answer is a one-sided prediction
bound: it is about one more value, not about the mean of them. One of two rules gives it.

- Many audits (39 at 95 %): an order statistic. The next value takes each of the m + 1 ranks with the same probability,
  whatever the distribution. Such a bound is called proven.
- Few audits: a quantile of Student's t. Fidelities are taken as normal, and the variance of this plan is shrunk towards
  the one that all plans of the policy key have in common, `common_spread_db`. So a handful of audits far above what was
  asked for is enough, long before a failure could have been seen.

The second rule rests on an assumption. It is also applied to every budget after every audit, and the boldest budget
that passes is taken, which favours budgets that were lucky. So fewer failures are allowed than the user allows:
`STRICTNESS` times fewer, and `STRICTNESS_AFTER_A_FALL` times once the assumption was seen to fail. That is where a
video fell: it came out so far below the others of its plan that a normal distribution does not explain it, as it went
into another mode.

By however few audits, the bound is called foretold. From `FEWEST_TO_ASSURE` audits on it is called assured, and may be
promised.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist, fmean, median

FEWEST_TO_ASSURE = 6  # audits that are needed before anything is assured
FEWEST_TO_PROVE = 19  # audits that are needed before ranks are relied on, however many failures are allowed
SUPPOSED_SPREAD_DB = 8.0  # standard deviation of a plan's fidelities before any was seen; of `shapes` it is 4 to 10
SUPPOSED_FREEDOM = 4  # degrees of freedom that this supposition counts as
COMMON_FREEDOM = 8  # degrees of freedom that the common spread of all plans counts as in the spread of one
MOST_VOTES = 5  # of one plan, in the median over plans
STRICTNESS = 2.0  # the failures that a user allows are divided by this while few audits tell
STRICTNESS_AFTER_A_FALL = 6.0  # the same once fidelities are known not to be normal
FALL_DEVIATIONS = 4.0  # common standard deviations; what lies further below the median of its plan fell
FEWEST_TO_SHOW_A_FALL = 3  # audits of a plan; of two, either may be the odd one
RAREST_FAILURE = 1e-9  # the smallest probability of a failure that is told apart from none


def common_spread_db(plans_db: Iterable[Sequence[float]]) -> float:
    """Standard deviation, in dB, of the fidelities of one plan about their mean, whichever plan it is.

    `plans_db` holds the fidelities of every plan. The median of their variances is shrunk towards that of
    `SUPPOSED_SPREAD_DB`: the median, for some plans fail altogether on some videos. In it a plan has one vote for every
    degree of freedom, `MOST_VOTES` at most.

    All plans were walked on the same videos. So together they tell no more than the one with most audits does, and the
    median counts as that one's degrees of freedom.
    """
    repeated = [plan for plan in plans_db if len(plan) > 1]
    freedom = max((len(plan) - 1 for plan in repeated), default=0)
    votes: list[float] = []
    for plan in repeated:
        votes += [_variance(plan)] * min(len(plan) - 1, MOST_VOTES)
    seen = median(votes or [0.0])
    return math.sqrt((SUPPOSED_FREEDOM * SUPPOSED_SPREAD_DB**2 + freedom * seen) / (SUPPOSED_FREEDOM + freedom))


def has_fallen(plan_db: Sequence[float], spread_db: float) -> bool:
    """Whether one of a plan's audits is an outlier below the others, by the spread that plans have in common."""
    return len(plan_db) >= FEWEST_TO_SHOW_A_FALL and median(plan_db) - min(plan_db) > FALL_DEVIATIONS * spread_db


def assured_db(
    fidelities_db: Sequence[float],
    confidence: float,
    spread_db: float = SUPPOSED_SPREAD_DB,
    strictness: float = STRICTNESS,
) -> float:
    """The bound that may be promised, in dB: as `foretold_db`, but −inf before there are `FEWEST_TO_ASSURE` audits."""
    if len(fidelities_db) < FEWEST_TO_ASSURE:
        return -math.inf
    return foretold_db(fidelities_db, confidence, spread_db, strictness)


def foretold_db(
    fidelities_db: Sequence[float],
    confidence: float,
    spread_db: float = SUPPOSED_SPREAD_DB,
    strictness: float = STRICTNESS,
) -> float:
    """The bound by however few audits, in dB: the next video falls below it with probability 1 − confidence at most.

    −inf without any audit. It never rises with the confidence. While few audits tell, it is no higher than the second
    worst fidelity that was seen.

    Args:
        fidelities_db: what the plan's audits measured, in any order.
        confidence: between 0 and 1.
        spread_db: what plans have in common, as `common_spread_db`.
        strictness: the failures allowed, 1 − confidence, are divided by it while few audits tell.
    """
    best_first = sorted(fidelities_db, reverse=True)
    if not best_first:
        return -math.inf
    if is_proven(len(best_first), confidence):
        return float(best_first[_rank(len(best_first), confidence) - 1])
    second_worst = float(best_first[-2:][0])  # of one alone, that one
    return min(_normal_bound_db(best_first, (1 - confidence) / strictness, spread_db), second_worst)


def is_proven(audits: int, confidence: float) -> bool:
    """Whether the ranks of so many audits give the bound, so that no distribution is assumed.

    They do once at least one of the audits may lie below the bound.
    """
    return audits >= FEWEST_TO_PROVE and _rank(audits, confidence) < audits


def _rank(audits: int, confidence: float) -> int:
    """k, so that the k-th largest of so many fidelities is the bound: ⌈confidence·(m + 1)⌉.

    The next value falls below the k-th largest of m with probability 1 − k/(m + 1), if all are exchangeable (Vovk,
    Gammerman and Shafer 2005). Above m there is no such bound.
    """
    return math.ceil(confidence * (audits + 1))


def _normal_bound_db(seen: Sequence[float], failures: float, spread_db: float) -> float:
    """What the next of a normal distribution falls below with probability `failures`: mean − t·spread·√(1 + 1/m).

    Mean and spread are as little known as m audits tell. The mean has a flat prior. The variance has a scaled inverse
    chi-squared prior of scale `spread_db`² and `COMMON_FREEDOM` degrees of freedom. Then the next value is distributed
    as Student's t (Gelman et al. 2013, section 3.3).
    """
    clipped, audits = _without_high_outliers(seen), len(seen)
    freedom = COMMON_FREEDOM + audits - 1
    variance = (COMMON_FREEDOM * spread_db**2 + _sum_of_squares(clipped)) / freedom
    of_the_next = math.sqrt(variance * (1 + 1 / audits))
    return fmean(clipped) - student_quantile(1 - max(failures, RAREST_FAILURE), freedom) * of_the_next


def _variance(plan: Sequence[float]) -> float:
    """Of two fidelities or more about their mean, in dB²."""
    return _sum_of_squares(_without_high_outliers(plan)) / (len(plan) - 1)


def _without_high_outliers(seen: Sequence[float]) -> list[float]:
    """The fidelities, clipped as far above the median as the worst lies below it: that some videos come out closer than
    others is no reason for doubt."""
    highest = 2 * median(seen) - min(seen)
    return [min(db, highest) for db in seen]


def _sum_of_squares(seen: Sequence[float]) -> float:
    """Of the deviations from the mean, in dB²."""
    mean = fmean(seen)
    return sum((db - mean) ** 2 for db in seen)


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom, 8 or more (Abramowitz and Stegun 26.7.5).

    To three digits for probabilities from 0.0005 to 0.9995.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))
