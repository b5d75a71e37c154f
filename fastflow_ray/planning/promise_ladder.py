"""What audits so far say of one promise, rung by rung: who speaks for a rung, and whether it keeps the fidelity there.

A rung is a boldness, and stands for one budget. Every candidate has a plan for it, and a few fidelities in dB, by
audits. The candidate with the best chance of a promise there is the rung's leader. What its audits say is the rung's
`Tried`, by which `bandit.probing` chooses the rung to try next. Candidates that could still be better are its rivals:
they are told by successive elimination, as in `bandit.candidates`.

Knows what was measured, and not what to measure next: that is `promise_search`.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, believed_best, contenders
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.planning.promise import Promise


class _Merit(NamedTuple):
    """By what one audited candidate at a rung comes before another: the first field in which they differ."""

    audits_if_foretold: int  # if it is foretold to keep the fidelity, else 0: the most audited is nearest to a promise
    could_keep_it: bool  # whether it could be the best, and could still be shown to keep the fidelity
    foretold_db: float  # not its mean: who keeps a little less on average, and never fails, is the better one


class PromiseLadder:
    """Keeps what it has worked out: good for as long as the promise's book says the same."""

    def __init__(self, promise: Promise) -> None:
        self._promise = promise
        self.rungs = sorted(promise.budgets)  # boldnesses, the least bold first

    @cached_property
    def probed_rung(self) -> int | None:
        """The rung that the next audit should try; None where nothing can be skipped."""
        return next_rung(self.rungs, self._tried, self._promise.confidence) if self.rungs else None

    def tried(self, rung: int) -> Tried:
        """What audits said of the leader of this rung; nothing where none was audited there."""
        return self._tried[rung]

    def leader(self, rung: int) -> Candidate:
        """The best candidate at this rung; where none was audited, the one believed to keep most by audits nearby."""
        return self._best_audited[rung] or believed_best(self._records(rung))

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
        return {
            rung: Tried() if best is None else self._tried_of(best, rung) for rung, best in self._best_audited.items()
        }

    @cached_property
    def _best_audited(self) -> dict[int, Candidate | None]:
        """Of every rung the best of the candidates that were audited there; None where none was."""
        return {rung: self._best_audited_at(rung) for rung in self.rungs}

    def _best_audited_at(self, rung: int) -> Candidate | None:
        audited = [candidate for candidate in CANDIDATES if self._promise.audited(candidate, rung).audits]
        contending = self._contending(rung)

        def merit(candidate: Candidate) -> _Merit:
            tried = self._tried_of(candidate, rung)
            return _Merit(
                tried.audits if tried.foretold else 0,
                candidate in contending and not tried.is_too_bold(self._promise.confidence),
                self._promise.foretold_db(candidate, rung),
            )

        return max(audited, key=merit, default=None)

    def _tried_of(self, candidate: Candidate, rung: int) -> Tried:
        """What audits said of this candidate at this rung; it has been audited there."""
        fidelity_db, audited = self._promise.fidelity_db, self._promise.audited(candidate, rung)
        headroom = (audited.mean_db - fidelity_db) / audited.spread_db
        is_foretold = self._promise.foretold_db(candidate, rung) >= fidelity_db
        return Tried(audited.audits, audited.below(fidelity_db), headroom, is_foretold)

    def _contending(self, rung: int) -> list[Candidate]:
        """The candidates that could be the best at this rung; one audit may already rule a candidate out."""
        return contenders(self._records(rung), fewest=1)

    def _records(self, rung: int) -> dict[Candidate, Record]:
        """Of the rung; where it was not audited, of the nearest one that was."""
        return self._promise.book.records(self._promise.budgets[rung])
