"""Where a promise stands at every budget: who speaks for it there, and what audits said of that plan.

A rung per boldness, and a budget per rung. Knows what was measured, and not what to measure next.
"""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, contenders, served
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.planning.promise import Promise


class PromiseLadder:
    """Good for as long as the promise's book says the same."""

    def __init__(self, promise: Promise) -> None:
        self._promise = promise
        self.rungs = sorted(promise.ladder)  # the least bold first

    @cached_property
    def probed(self) -> int | None:
        """The rung that is worth an audit; None where nothing can be skipped."""
        return next_rung(self.rungs, self._tried, self._promise.confidence) if self.rungs else None

    def tried(self, rung: int) -> Tried:
        """What audits said of it, by the best one there."""
        return self._tried[rung]

    def leader(self, rung: int) -> Candidate:
        """The best one; where none was audited, who is served nearest to it."""
        return self._best[rung] or served(self._records(rung))

    def rivals(self, rung: int) -> list[Candidate]:
        """Who else could be the best there, whoever was audited least first."""
        others = [candidate for candidate in self._contending(rung) if candidate != self.leader(rung)]
        return sorted(others, key=lambda candidate: self._promise.audited(candidate, rung).audits)

    def nearest_to_a_promise(self, rung: int) -> list[int]:
        """The boldest of the rungs below that is foretold to keep the fidelity; the next one below where none is."""
        below = [other for other in self.rungs if other < rung]
        return ([other for other in below if self._tried[other].foretold] or below)[-1:]

    @cached_property
    def _tried(self) -> dict[int, Tried]:
        return {rung: Tried() if who is None else self._tried_by(who, rung) for rung, who in self._best.items()}

    @cached_property
    def _best(self) -> dict[int, Candidate | None]:
        return {rung: self._best_of(rung) for rung in self.rungs}

    def _best_of(self, rung: int) -> Candidate | None:
        """Who speaks for a rung: of those foretold to keep the promise there the one heard most, for it is the nearest
        to being promised; else whoever could still be shown to. Of these the one foretold to keep most: who keeps a
        little less on average but never fails is the better one. None where no audit was made."""
        audited = [candidate for candidate in CANDIDATES if self._promise.audited(candidate, rung).audits]
        contending = self._contending(rung)

        def merit(candidate: Candidate) -> tuple[int, bool, float]:
            tried = self._tried_by(candidate, rung)
            could = candidate in contending and not tried.is_too_bold(self._promise.confidence)
            return tried.audits if tried.foretold else 0, could, self._promise.foretold_db(candidate, rung)

        return max(audited, key=merit, default=None)

    def _tried_by(self, candidate: Candidate, rung: int) -> Tried:
        fidelity_db, seen = self._promise.fidelity_db, self._promise.audited(candidate, rung)
        headroom = (seen.mean_db - fidelity_db) / seen.spread_db
        is_foretold = self._promise.foretold_db(candidate, rung) >= fidelity_db
        return Tried(seen.audits, seen.below(fidelity_db), headroom, is_foretold)

    def _contending(self, rung: int) -> list[Candidate]:
        return contenders(self._records(rung), heard=1)

    def _records(self, rung: int) -> dict[Candidate, Record]:
        return self._promise.book.records(self._promise.ladder[rung])
