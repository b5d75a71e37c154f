"""What audits measured: by how much the fidelity of each candidate's plans fell short of what was expected.

An expected error says how plans compare, not how many dB a video keeps: it knows nothing of the decoder, and little of
how deviations grow in one prompt. The shortfall, expected less measured, is what audits teach; its distribution turns
the planner's promise into one that holds. Kept as counts, so that two books merge by addition.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastflow_ray.errors import InvalidInput

IDENTICAL_DB = 120.0  # what counts as the fidelity of a sample that equals the full run's
BOLDNESS = 4  # buckets per halving of the evaluations
CONVINCING = 19  # audits, at least: the boldest of many budgets that seem to do is chosen, and fewer deceive too often


@dataclass
class Shortfalls:
    """The audits of one candidate in one bucket of budgets."""

    counts: Counter[int] = field(default_factory=Counter)  # shortfall in whole dB → audits
    psnr_sum: float = 0.0  # dB
    ssim_sum: float = 0.0
    ssim_count: int = 0

    @property
    def audits(self) -> int:
        """How many there were."""
        return self.counts.total()

    @property
    def mean_db(self) -> float:
        """Of the shortfall."""
        return sum(db * count for db, count in self.counts.items()) / self.audits

    @property
    def spread_db(self) -> float:
        """Standard deviation of the shortfall; at least one dB, to which it is rounded."""
        square = sum(db**2 * count for db, count in self.counts.items()) / self.audits
        return max(1.0, math.sqrt(max(square - self.mean_db**2, 0.0)))

    @property
    def mean_psnr_db(self) -> float:
        """As measured."""
        return self.psnr_sum / self.audits

    def bound_db(self, confidence: float) -> float:
        """The shortfall that the next generation exceeds with probability 1 − confidence at most.

        Of m audits and the next one, all ranks of the next are equally likely: so the ⌈confidence·(m + 1)⌉-th smallest
        holds without any assumption about the distribution (Vovk, Gammerman and Shafer 2005). With fewer audits than
        that, or than `CONVINCING`, nothing is sure, and the bound infinite: the rarest may not have been seen, and be
        as bad as it likes.
        """
        seen = sorted(self.counts.elements())
        rank = math.ceil(confidence * (len(seen) + 1))
        return float(seen[rank - 1]) if max(rank, CONVINCING) <= len(seen) else math.inf

    def add(self, other: Shortfalls) -> None:
        """Count the other's audits too."""
        self.counts.update(other.counts)
        self.psnr_sum += other.psnr_sum
        self.ssim_sum += other.ssim_sum
        self.ssim_count += other.ssim_count


class AuditBook:
    """Shortfalls by candidate and bucket of budgets, for one policy key."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, int], Shortfalls] = {}

    def note(
        self, candidate: str, boldness: int, expected_db: float, measured_db: float, ssim: float | None = None
    ) -> None:
        """One audit: the planner expected one fidelity, and the decoded frames (or latents) had another.

        Raises InvalidInput unless both are numbers; an infinite fidelity counts as `IDENTICAL_DB`.
        """
        measured_db, expected_db = min(measured_db, IDENTICAL_DB), min(expected_db, IDENTICAL_DB)
        if not (math.isfinite(measured_db) and math.isfinite(expected_db)):
            raise InvalidInput(f"a fidelity of {measured_db} dB where {expected_db} dB were expected teaches nothing")
        counts = Counter({round(expected_db - measured_db): 1})
        measured = Shortfalls(counts, measured_db, ssim or 0.0, int(ssim is not None))
        self._cells.setdefault((candidate, boldness), Shortfalls()).add(measured)

    def at(self, candidate: str, boldness: int) -> Shortfalls:
        """The candidate's audits in that bucket; none where there were none."""
        return self._cells.get((candidate, boldness), Shortfalls())

    def nearest(self, candidate: str, boldness: int) -> tuple[Shortfalls, int] | None:
        """The candidate's audits in the bucket nearest to `boldness`, and how far that is; None: there were none."""
        own = [(abs(bucket - boldness), bucket) for name, bucket in self._cells if name == candidate]
        if not own:
            return None
        distance, bucket = min(own)
        return self._cells[candidate, bucket], distance

    def nearest_boldness(self, boldness: int) -> int | None:
        """The audited bucket nearest to `boldness`; None before any audit."""
        buckets = {bucket for _, bucket in self._cells}
        return min(buckets, key=lambda bucket: (abs(bucket - boldness), bucket), default=None)

    def cells(self) -> Iterator[tuple[str, int, Shortfalls]]:
        """(candidate, boldness, its audits), in a fixed order."""
        for (candidate, bucket), cell in sorted(self._cells.items()):
            yield candidate, bucket, cell

    @property
    def audits(self) -> int:
        """The most that any candidate had, over all budgets."""
        per_candidate: Counter[str] = Counter()
        for candidate, _, cell in self.cells():
            per_candidate[candidate] += cell.audits
        return max(per_candidate.values(), default=0)

    def merge(self, other: AuditBook) -> AuditBook:
        """Both, as a new book."""
        merged = AuditBook()
        for book in (self, other):
            for candidate, bucket, cell in book.cells():
                merged._cells.setdefault((candidate, bucket), Shortfalls()).add(cell)
        return merged

    def to_dict(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [
            {
                "candidate": candidate,
                "boldness": bucket,
                "shortfall_db": {str(db): count for db, count in sorted(cell.counts.items())},
                "psnr_sum": cell.psnr_sum,
                "ssim_sum": cell.ssim_sum,
                "ssim_count": cell.ssim_count,
            }
            for candidate, bucket, cell in self.cells()
        ]

    @classmethod
    def from_dict(cls, rows: Any) -> AuditBook:
        """The book `to_dict` described; raises ValueError if it is damaged."""
        if not isinstance(rows, list):
            raise ValueError("`audits` has to be a list")
        book = cls()
        for row in rows:
            key = _key(row)
            book._cells[key] = _cell(row)
        if len(book._cells) != len(rows):
            raise ValueError("`audits` names a candidate twice at one boldness")
        return book


def convincing(confidence: float) -> int:
    """The fewest audits that a promise of this confidence may rest on, as `Shortfalls.bound_db` has it."""
    return max(CONVINCING, math.ceil(confidence / (1 - confidence)))


def boldness(steps: int, evaluations: int) -> int:
    """The bucket of a budget: 0 evaluates everything, and each halving is `BOLDNESS` more."""
    return round(BOLDNESS * math.log2(steps / evaluations))


def expected_db(squared_error: float) -> float:
    """An expected squared error as a fidelity, up to a constant that audits learn with the shortfall."""
    return -10 * math.log10(max(squared_error, 10 ** (-IDENTICAL_DB / 10)))


def _key(row: Any) -> tuple[str, int]:
    if not isinstance(row, Mapping) or not isinstance(row.get("candidate"), str):
        raise ValueError("each of `audits` has to name its candidate")
    if type(row.get("boldness")) is not int:  # and no bool
        raise ValueError("`boldness` has to be a whole number")
    return row["candidate"], row["boldness"]


def _cell(row: Mapping[str, Any]) -> Shortfalls:
    if not isinstance(row.get("shortfall_db"), Mapping) or not row["shortfall_db"]:
        raise ValueError("`shortfall_db` has to count at least one audit")
    counts = Counter({int(db): count for db, count in row["shortfall_db"].items()})
    if not all(type(count) is int and count > 0 for count in counts.values()) or len(counts) < len(row["shortfall_db"]):
        raise ValueError("`shortfall_db` has to count audits")
    sums: list[Any] = [row.get("psnr_sum"), row.get("ssim_sum")]
    if not all(type(total) in (int, float) and math.isfinite(total) for total in sums):
        raise ValueError("the sums of an audit have to be finite numbers")
    ssim_count = row.get("ssim_count")
    if type(ssim_count) is not int or not 0 <= ssim_count <= counts.total():
        raise ValueError("`ssim_count` has to count audits")
    return Shortfalls(counts, float(sums[0]), float(sums[1]), ssim_count)
