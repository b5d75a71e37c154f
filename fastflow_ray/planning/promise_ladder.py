"""What audits said of one promise at each rung of its ladder, and which candidate is the best there.

A rung is a boldness, and stands for one budget. Knows what was measured, and not what to measure next.
"""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, contenders, served
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.planning.promise import Promise


class PromiseLadder:
    """Keeps what it has worked out: good for as long as the promise's book says the same."""

    def __init__(self, promise: Promise) -> None:
        self._promise = promise
        self.rungs = sorted(promise.ladder)  # boldnesses, the least bold first

    @cached_property
    def probed(self) -> int | None:
        """The rung that the next audit should try; None where nothing can be skipped."""
        return next_rung(self.rungs, self._tried, self._promise.confidence) if self.rungs else None

    def tried(self, rung: int) -> Tried:
        """What audits said of the best candidate at this rung."""
        return self._tried[rung]

    def leader(self, rung: int) -> Candidate:
        """The best candidate at this rung; where none was audited, the one believed to keep most by audits nearby."""
        return self._best[rung] or served(self._records(rung))

    def rivals(self, rung: int) -> list[Candidate]:
        """The other candidates that could be the best at this rung, the one with the fewest audits first."""
        others = [candidate for candidate in self._contending(rung) if candidate != self.leader(rung)]
        return sorted(others, key=lambda candidate: self._promise.audited(candidate, rung).audits)

    def nearest_to_a_promise(self, rung: int) -> list[int]:
        """Of the rungs that are less bold, the boldest that is foretold to keep the fidelity.

        Where none is, the next one. Empty where there is no such rung, else of length 1.
        """
        milder = [other for other in self.rungs if other < rung]
        return ([other for other in milder if self._tried[other].foretold] or milder)[-1:]

    @cached_property
    def _tried(self) -> dict[int, Tried]:
        return {rung: Tried() if best is None else self._tried_of(best, rung) for rung, best in self._best.items()}

    @cached_property
    def _best(self) -> dict[int, Candidate | None]:
        return {rung: self._best_at(rung) for rung in self.rungs}

    def _best_at(self, rung: int) -> Candidate | None:
        """The best of the candidates that were audited at this rung; None where none was.

        - First come those foretold to keep the fidelity, by their audits: the most audited is the nearest to a promise.
        - Then those that could still be shown to keep it.
        - Among equals the one foretold to keep most. Its mean does not count: a candidate that keeps a little less on
          average, and never fails, is the better one.
        """
        audited = [candidate for candidate in CANDIDATES if self._promise.audited(candidate, rung).audits]
        contending = self._contending(rung)

        def merit(candidate: Candidate) -> tuple[int, bool, float]:
            tried = self._tried_of(candidate, rung)
            towards_a_promise = tried.audits if tried.foretold else 0
            could_keep_it = candidate in contending and not tried.is_too_bold(self._promise.confidence)
            return towards_a_promise, could_keep_it, self._promise.foretold_db(candidate, rung)

        return max(audited, key=merit, default=None)

    def _tried_of(self, candidate: Candidate, rung: int) -> Tried:
        """What audits said of this candidate at this rung; it has been audited there."""
        fidelity_db, kept = self._promise.fidelity_db, self._promise.audited(candidate, rung)
        headroom = (kept.mean_db - fidelity_db) / kept.spread_db
        is_foretold = self._promise.foretold_db(candidate, rung) >= fidelity_db
        return Tried(kept.audits, kept.below(fidelity_db), headroom, is_foretold)

    def _contending(self, rung: int) -> list[Candidate]:
        return contenders(self._records(rung), heard=1)

    def _records(self, rung: int) -> dict[Candidate, Record]:
        """Of the rung; where it was not audited, of the nearest one that was."""
        return self._promise.book.records(self._promise.ladder[rung])
