"""What audits measured: which fidelity the plans of each candidate kept.

An expected error says how plans compare, not how many dB a video keeps: it knows nothing of the decoder, and little of
how deviations grow in one prompt. So a promise rests on what was measured, as it was measured: plans that come from few
full runs expect too much of themselves. Kept as counts, so that two books merge by addition.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fastflow_ray.bandit.assurance import STRICTNESS, assured_db, common_spread_db, foretold_db, has_fallen
from fastflow_ray.errors import InvalidInput

IDENTICAL_DB = 120.0  # what counts as the fidelity of a sample that equals the full run's
BOLDNESS = 4  # more for each halving of the evaluations


@dataclass
class Fidelities:
    """The audits of one candidate at one boldness: of budgets that are about as large."""

    counts: Counter[int] = field(default_factory=Counter)  # PSNR in whole dB → audits
    psnr_sum: float = 0.0  # dB
    ssim_sum: float = 0.0
    ssim_count: int = 0
    path: tuple[int, ...] | None = None  # the steps that a promise's plan evaluates, once one was audited

    @property
    def audits(self) -> int:
        """How many there were."""
        return self.counts.total()

    @property
    def mean_db(self) -> float:
        """Of the PSNR."""
        return self.psnr_sum / self.audits

    @property
    def spread_db(self) -> float:
        """Standard deviation of the PSNR; at least one dB, to which it is rounded."""
        mean = sum(db * count for db, count in self.counts.items()) / self.audits
        square = sum((db - mean) ** 2 * count for db, count in self.counts.items()) / self.audits
        return max(1.0, math.sqrt(square))

    @property
    def short_of_identical(self) -> Counter[int]:
        """The counts of those that were not equal to the full run."""
        return Counter({db: count for db, count in self.counts.items() if db < IDENTICAL_DB})

    def assured_db(self, confidence: float, spread_db: float, strictness: float = STRICTNESS) -> float:
        """The fidelity that the next generation keeps at least with that probability, as `assurance.assured_db`; −inf
        while too few audits tell. `spread_db` is what plans have in common."""
        return assured_db(list(self.counts.elements()), confidence, spread_db, strictness)

    def foretold_db(self, confidence: float, spread_db: float, strictness: float = STRICTNESS) -> float:
        """The same by however few audits; −inf without any."""
        return foretold_db(list(self.counts.elements()), confidence, spread_db, strictness)

    def below(self, fidelity_db: float) -> int:
        """How many kept less; a fraction of a dB that one kept is not counted on."""
        return sum(count for db, count in self.counts.items() if db < fidelity_db)

    def add(self, other: Fidelities) -> None:
        """Count the other's audits too."""
        self.counts.update(other.counts)
        self.psnr_sum += other.psnr_sum
        self.ssim_sum += other.ssim_sum
        self.ssim_count += other.ssim_count
        self.path = min((path for path in (self.path, other.path) if path is not None), default=None)


class AuditBook:
    """Fidelities by candidate and boldness, for one policy key."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, int], Fidelities] = {}  # by candidate, boldness

    def note(
        self,
        candidate: str,
        boldness: int,
        measured_db: float,
        ssim: float | None = None,
        path: tuple[int, ...] | None = None,
    ) -> None:
        """One audit: so close to that of the full run the video (or latents) was; of a promise's plan with its `path`.

        Raises InvalidInput unless that is a number; an infinite fidelity counts as `IDENTICAL_DB`.
        """
        measured_db = min(measured_db, IDENTICAL_DB)
        if not math.isfinite(measured_db):
            raise InvalidInput(f"a fidelity of {measured_db} dB teaches nothing")
        counts, ssim_count = Counter({math.floor(measured_db): 1}), int(ssim is not None)
        measured = Fidelities(counts, measured_db, ssim or 0.0, ssim_count, path)
        self._add({(candidate, boldness): measured})

    def at(self, candidate: str, boldness: int) -> Fidelities:
        """The candidate's audits at this boldness; none where there were none."""
        return self._cells.get((candidate, boldness), Fidelities())

    def nearest(self, candidate: str, boldness: int) -> tuple[Fidelities, int] | None:
        """The candidate's audits at the nearest boldness where it has any, and which that is; None: there are none."""
        own = [(abs(audited - boldness), audited) for name, audited in self._cells if name == candidate]
        if not own:
            return None
        _, nearest = min(own)
        return self._cells[candidate, nearest], nearest

    def nearest_boldness(self, boldness: int, like: Callable[[int], bool] = lambda boldness: True) -> int | None:
        """The audited boldness nearest to this one, of those that are `like` it; None where there is none."""
        audited = {each for _, each in self._cells if like(each)}
        return min(audited, key=lambda each: (abs(each - boldness), each), default=None)

    def cells(self) -> Iterator[tuple[str, int, Fidelities]]:
        """(candidate, boldness, its audits), in a fixed order."""
        for (candidate, boldness), cell in sorted(self._cells.items()):
            yield candidate, boldness, cell

    @property
    def common_spread_db(self) -> float:
        """Standard deviation of the fidelities that a plan keeps, whichever plan it is. How those scatter that equal
        the full run is not known."""
        return common_spread_db(list(cell.short_of_identical.elements()) for cell in self._cells.values())

    @property
    def show_falls(self) -> bool:
        """Whether a plan's video fell, as `assurance` has it."""
        spread_db = self.common_spread_db
        return any(has_fallen(list(cell.short_of_identical.elements()), spread_db) for cell in self._cells.values())

    @property
    def most_audits(self) -> int:
        """The most audits that any candidate had, over all budgets: about how many were made of the key.

        One audit may walk a candidate at several budgets, and counts at each of them.
        """
        per_candidate: Counter[str] = Counter()
        for candidate, _, cell in self.cells():
            per_candidate[candidate] += cell.audits
        return max(per_candidate.values(), default=0)

    def most_audits_at(self, boldness: int) -> int:
        """The most audits that any candidate had at this boldness."""
        return max((cell.audits for (_, each), cell in self._cells.items() if each == boldness), default=0)

    def merge(self, other: AuditBook) -> AuditBook:
        """Both, as a new book."""
        merged = AuditBook()
        for book in (self, other):
            merged._add(book._cells)
        return merged

    def to_dict(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [
            {
                "candidate": candidate,
                "boldness": boldness,
                "psnr_db": {str(db): count for db, count in sorted(cell.counts.items())},
                "psnr_sum": cell.psnr_sum,
                "ssim_sum": cell.ssim_sum,
                "ssim_count": cell.ssim_count,
                "path": None if cell.path is None else list(cell.path),
            }
            for (candidate, boldness), cell in sorted(self._cells.items())
        ]

    @classmethod
    def from_dict(cls, rows: Any) -> AuditBook:
        """The book `to_dict` described; raises ValueError if it is damaged."""
        if not isinstance(rows, list):
            raise ValueError("`audits` has to be a list")
        cells = {_key(row): _cell(row) for row in rows}
        if len(cells) != len(rows):
            raise ValueError("`audits` names a candidate twice at one boldness")
        book = cls()
        book._add(cells)
        return book

    def _add(self, cells: Mapping[tuple[str, int], Fidelities]) -> None:
        for key, cell in cells.items():
            self._cells.setdefault(key, Fidelities()).add(cell)


def boldness_of(steps: int, evaluations: int) -> int:
    """A budget as a whole number: 0 for every step, and `BOLDNESS` more for each halving of the evaluations."""
    return round(BOLDNESS * math.log2(steps / evaluations))


def evaluations_of(steps: int, boldness: int) -> int:
    """A budget of this boldness, by which all of them may be judged."""
    return round(steps / 2 ** (boldness / BOLDNESS))


def relative_db(squared_error: float) -> float:
    """An expected squared error as a fidelity, up to what the decoder and single prompts make of it."""
    return -10 * math.log10(max(squared_error, 10 ** (-IDENTICAL_DB / 10)))


def _key(row: Any) -> tuple[str, int]:
    if not isinstance(row, Mapping) or not isinstance(row.get("candidate"), str):
        raise ValueError("each of `audits` has to name its candidate")
    boldness = row.get("boldness")
    if type(boldness) is not int:  # and no bool
        raise ValueError("`boldness` has to be a whole number")
    return row["candidate"], boldness


def _cell(row: Mapping[str, Any]) -> Fidelities:
    if not isinstance(row.get("psnr_db"), Mapping) or not row["psnr_db"]:
        raise ValueError("`psnr_db` has to count at least one audit")
    counts = Counter({int(db): count for db, count in row["psnr_db"].items()})
    if not all(type(count) is int and count > 0 for count in counts.values()) or len(counts) < len(row["psnr_db"]):
        raise ValueError("`psnr_db` has to count audits")
    sums: list[Any] = [row.get("psnr_sum"), row.get("ssim_sum")]
    if not all(type(total) in (int, float) and math.isfinite(total) for total in sums):
        raise ValueError("the sums of an audit have to be finite numbers")
    ssim_count = row.get("ssim_count")
    if type(ssim_count) is not int or not 0 <= ssim_count <= counts.total():
        raise ValueError("`ssim_count` has to count audits")
    return Fidelities(counts, float(sums[0]), float(sums[1]), ssim_count, _path(row.get("path")))


def _path(steps: Any) -> tuple[int, ...] | None:
    if steps is None:
        return None
    if not isinstance(steps, list) or not all(type(step) is int and step >= 0 for step in steps):
        raise ValueError("`path` has to list steps")
    if not steps or any(later <= step for step, later in pairwise(steps)):
        raise ValueError("`path` has to rise")
    return tuple(steps)
