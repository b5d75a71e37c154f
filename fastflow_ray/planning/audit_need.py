"""How many audits a fleet lacks: many while a key is young, then a small share of the work.

Three things are young, each in its turn: a key of which little was heard, a promise that few audits assure, and a plan
of fewer evaluations that could keep it as well.
"""

from __future__ import annotations

import math

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_book import Offer
from fastflow_ray.planning.promise_search import PromiseSearch

AUDIT_SHARE = 0.03  # of a busy fleet's evaluations
PROVING_SHARE = 0.1  # while what was promised is assured by few audits, and by an assumption
RIPE = 3  # full runs, before which a plan says little about the later ones of its candidate
SEARCH = 64  # audits at one budget, in search of the first plan that keeps a fidelity


def audits_lacking(known: TrajectoryTable, search: PromiseSearch | None, served: Offer | None) -> float:
    """For a generation that `served` a plan (None: all its steps were evaluated), of a fleet that `known` is known of;
    `search` is for what keeps the fidelity that it was promised, if it was."""
    if search is None:
        return _to_watch(known)
    if served is None:
        return max(_before_a_promise(known, search), _owed(known, AUDIT_SHARE))
    return max(_to_assure(known, search, served), _to_better(known, search))


def _young(known: TrajectoryTable) -> float:
    """How often a key is heard while it is young: ever more rarely."""
    return 1 + math.log2(1 + known.runs)


def _owed(known: TrajectoryTable, share: float) -> float:
    """The audits that this share of the work would have paid for, and that were not made."""
    return (share * known.evaluations - known.audit_evaluations) / known.steps


def _to_watch(known: TrajectoryTable) -> float:
    """Of a key in general, whichever plans it serves."""
    return max(_young(known) - known.audits.audits, _owed(known, AUDIT_SHARE))


def _before_a_promise(known: TrajectoryTable, search: PromiseSearch) -> float:
    """The full run is made anyway, so each audit costs little, once there is anything to walk; and a budget that is
    foretold to do is not given up."""
    return max(SEARCH - search.heard, search.unproven) if known.full_runs >= RIPE else 0.0


def _to_assure(known: TrajectoryTable, search: PromiseSearch, served: Offer) -> float:
    """A promise is watched as any plan is; before ranks can tell of it, its plan is heard twice as often as a key, and
    three times where videos fall."""
    if search.promise.is_proven:
        return _to_watch(known)
    heard = search.promise.book.audited(served).audits
    return max((3 if search.promise.may_fall else 2) * _young(known) - heard, _owed(known, PROVING_SHARE))


def _to_better(known: TrajectoryTable, search: PromiseSearch) -> float:
    """What could keep a promise by fewer evaluations is heard as often as a young key."""
    return _young(known) - search.audits if search.is_open else 0.0
