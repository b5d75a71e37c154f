"""How many audits a fleet lacks for one policy key: many while something is young, then a small share of its work.

Four things are young, one after the other: a key with few generations, a budget that is new to it, a promise that few
audits assure, and a plan of fewer evaluations that might keep the promise as well.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import FEWEST_TO_RULE_OUT
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_book import Offer
from fastflow_ray.planning.promise_search import PromiseSearch

AUDIT_SHARE = 0.03  # of the evaluations that jobs asked for; a busy fleet spends as many on audits
PROVING_SHARE = 0.1  # the same, while a promise rests on few audits and an assumption
NEW_BUDGET_SHARE = 0.25  # of the jobs, at most, that ask for a budget which is new to an old key
RIPE = 3  # full runs; a candidate's plans from fewer say little about its later ones
SEARCH = 64  # audits at one budget, in search of the first plan that keeps a fidelity


class Need(NamedTuple):
    """What a fleet would have audited, as a job sees it."""

    audits: float  # that it lacks; below 1 it wants none
    of_jobs: float = 1.0  # the largest share of the jobs that is audited for it


def audit_need(known: TrajectoryTable, search: PromiseSearch | None, served: Offer | None) -> Need:
    """The audits that are lacking, as `audits_lacking`; or, where none is, one of a budget that few audits heard.

    Audits at one budget do not tell which candidate is the best at another. But a user who asks for a budget once gains
    nothing by its audit, so these are rare.
    """
    lacking = audits_lacking(known, search, served)
    if lacking >= 1 or search is not None or served is None:
        return Need(lacking)
    heard = known.audits.most_audits_at(boldness_of(known.steps, served.plan.evaluations))
    return Need(1.0, NEW_BUDGET_SHARE) if heard < FEWEST_TO_RULE_OUT else Need(lacking)


def audits_lacking(known: TrajectoryTable, search: PromiseSearch | None, served: Offer | None) -> float:
    """How many audits the fleet lacks, as a job sees it; below 1 it wants none.

    Args:
        known: what the fleet knows of the job's key.
        search: how far the search for the job's promise has come; None where it was promised no fidelity.
        served: the plan that the job was served; None: all its steps were evaluated.
    """
    if search is None:
        return _lacking_for_a_key(known)
    if served is None:
        return max(_lacking_for_a_first_plan(known, search), _unspent(known, AUDIT_SHARE))
    return max(_lacking_for_a_promise(known, search, served), _lacking_for_fewer_evaluations(known, search))


def _audits_of_a_young_key(known: TrajectoryTable) -> float:
    """How many audits a key should have after so many generations: one more each time these double."""
    return 1 + math.log2(1 + known.runs)


def _unspent(known: TrajectoryTable, share: float) -> float:
    """How many full runs this share of the work still pays for, beyond what audits have cost so far."""
    return (share * known.evaluations - known.audit_evaluations) / known.steps


def _lacking_for_a_key(known: TrajectoryTable) -> float:
    """Audits of any plan count."""
    return max(_audits_of_a_young_key(known) - known.audits.most_audits, _unspent(known, AUDIT_SHARE))


def _lacking_for_a_first_plan(known: TrajectoryTable, search: PromiseSearch) -> float:
    """Until a plan keeps the promise, every job is a full run: an audit costs only its rivals' walks. So many are made,
    and a budget that is foretold to keep it is not given up. None before plans are worth walking."""
    return max(SEARCH - search.most_audits, search.short_of_assured) if known.full_runs >= RIPE else 0.0


def _lacking_for_a_promise(known: TrajectoryTable, search: PromiseSearch, served: Offer) -> float:
    """A proven plan is heard as a key is. Before that, it is heard twice as often as a young key, and three times as
    often where videos may fall."""
    if search.promise.is_proven:
        return _lacking_for_a_key(known)
    times, heard = 3 if search.promise.may_fall else 2, search.promise.book.audited(served).audits
    return max(times * _audits_of_a_young_key(known) - heard, _unspent(known, PROVING_SHARE))


def _lacking_for_fewer_evaluations(known: TrajectoryTable, search: PromiseSearch) -> float:
    """A plan that might keep the promise by fewer evaluations is heard as often as a young key."""
    return _audits_of_a_young_key(known) - search.audits_of_leader if search.is_open else 0.0
