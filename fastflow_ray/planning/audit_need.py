"""How many audits a fleet lacks for one policy key.

Why there are audits: how far a plan is expected to err tells how plans compare, and not how many dB a video keeps. That
is measured only by an audit, which runs a video's seed in full too and walks other plans on it. It costs several times
what the video did, and whoever asked for that gains little. So audits are many while they still decide something, and
then a small share of the work, to keep watch.

Who decides: nobody does for the fleet. Each job reckons, from the statistics that all workers share, what is lacking as
it sees it: its `Need`. Whether this very job is audited for it, a lot tells (`audit_lottery`).

What audits still decide depends on what was asked for:

- A speed, or so many evaluations. Which candidate keeps most? A young key lacks audits at whichever budget, and later a
  budget that is new to it lacks a few of its own.
- A fidelity that no plan is assured to keep. Which plan could be promised first?
- A fidelity that a plan is promised to keep. Is it kept indeed, and could a cheaper plan keep it too?
"""

from __future__ import annotations

import math
from typing import NamedTuple

from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import FEWEST_TO_RULE_OUT
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_book import Offer
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_search import PromiseSearch

AUDIT_SHARE = 0.03  # of the evaluations that jobs asked for: as many are spent on audits once nothing is left to decide
PROVING_SHARE = 0.1  # the same, while a promise rests on few audits and an assumption
NEW_BUDGET_SHARE = 0.25  # of the jobs, at most, that ask for a budget which is new to an old key
FULL_RUNS_TO_COMPARE = 3  # a candidate's plans from fewer say little about its later ones
AUDITS_OF_A_SEARCH = 64  # at one budget, for the first plan that keeps a fidelity


class Need(NamedTuple):
    """What a fleet lacks, as one of its jobs sees it."""

    audits: float  # below 1, the job is not audited
    share_of_jobs: float = 1.0  # at most so many of the jobs that see it are audited


def audit_need(known: TrajectoryTable, search: PromiseSearch | None, served: Offer | None) -> Need:
    """What the fleet lacks, as a job sees it that was served this plan.

    Args:
        known: what the fleet knows of the job's key.
        search: how far the search for the job's promise has come; None where it asked for a speed.
        served: the plan that the job was served; None: it evaluates every step.
    """
    if search is None:
        return _need_at_a_speed(known, served)
    if served is None:
        return Need(max(_lacking_to_a_first_promise(known, search), _audits_paid_by(AUDIT_SHARE, known)))
    return Need(max(_lacking_to_a_proof(known, search.promise, served), _lacking_to_a_cheaper_plan(known, search)))


def _need_at_a_speed(known: TrajectoryTable, served: Offer | None) -> Need:
    """What the key lacks; where that is nothing, one audit of a budget at which few were made.

    Audits at one budget do not tell which candidate is the best at another. But whoever asks for a budget once gains
    nothing by its audit, so these are rare.
    """
    lacking = _lacking_to_a_key(known)
    if lacking >= 1 or served is None:
        return Need(lacking)
    audits_here = known.audits.most_audits_at(boldness_of(known.steps, served.plan.evaluations))
    return Need(1.0, NEW_BUDGET_SHARE) if audits_here < FEWEST_TO_RULE_OUT else Need(lacking)


def _lacking_to_a_key(known: TrajectoryTable) -> float:
    """Audits of any plan count: first as many as its age asks for, then as many as its work pays for."""
    return max(_audits_by_age(known) - known.audits.most_audits, _audits_paid_by(AUDIT_SHARE, known))


def _lacking_to_a_first_promise(known: TrajectoryTable, search: PromiseSearch) -> float:
    """Until a plan keeps the promise, every job is a full run, and its audit costs only the walks of other plans. So
    many are made at the budget that is probed, and it is not given up while it is foretold to keep the fidelity."""
    if known.full_runs < FULL_RUNS_TO_COMPARE:
        return 0.0
    return max(AUDITS_OF_A_SEARCH - search.audits_at_probed, search.short_of_assured)


def _lacking_to_a_proof(known: TrajectoryTable, promise: Promise, served: Offer) -> float:
    """A plan that is proven to keep the promise lacks no more than any key. One that is not lacks twice as many audits
    as the key's age asks for, and three times as many where videos may fall."""
    if promise.is_proven:
        return _lacking_to_a_key(known)
    times, audits = 3 if promise.may_fall else 2, promise.book.audited(served).audits
    return max(times * _audits_by_age(known) - audits, _audits_paid_by(PROVING_SHARE, known))


def _lacking_to_a_cheaper_plan(known: TrajectoryTable, search: PromiseSearch) -> float:
    """A plan of fewer evaluations, which might keep the promise as well, lacks as many as the key's age asks for."""
    return _audits_by_age(known) - search.audits_of_leader if search.is_open else 0.0


def _audits_by_age(known: TrajectoryTable) -> float:
    """How many there should have been after so many generations: one more each time these double."""
    return 1 + math.log2(1 + known.runs)


def _audits_paid_by(share: float, known: TrajectoryTable) -> float:
    """How many full runs this share of the work still pays for, beyond what audits have cost so far."""
    return (share * known.evaluations - known.audit_evaluations) / known.steps
