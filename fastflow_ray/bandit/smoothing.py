"""Whether the plans of a policy key should predict velocities smoothly, decided by audits.

An audit walks one path on one seed both ways: by predictions as they were learnt, and by smooth ones, from inner
products of which the prior is half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastflow_ray.bandit.fields import counts, floats
from fastflow_ray.errors import InvalidInput

AT_MOST_DB = 6.0  # gain or loss that one audit counts for: that a video falls apart one way only is a matter of luck
DOUBT_DB = 3.0  # standard deviation of the gain in one audit, as it is supposed
STANDING_DB = -0.5  # the gain that smooth predictions are taken to bring before any audit
STANDING_FIRMNESS = 2  # audits that `STANDING_DB` counts as
FEWEST_AUDITS = 4  # audits that are made at least, before the question is closed
MOST_AUDITS = 16  # audits that are made at most: where they do not tell the ways apart, either will do


@dataclass
class Smoothing:
    """The gain of smooth predictions: by how many dB a video keeps more than by predictions as learnt.

    Over all plans and budgets of one policy key.
    """

    gain_sum: float = 0.0  # dB, summed over audits; each between −`AT_MOST_DB` and `AT_MOST_DB`
    audits: int = 0

    @property
    def gain_db(self) -> float:
        """The gain they are believed to bring, on average."""
        return (self.gain_sum + STANDING_FIRMNESS * STANDING_DB) / (self.audits + STANDING_FIRMNESS)

    @property
    def pays(self) -> bool:
        """Whether the key's plans should predict smoothly."""
        return self.gain_db > 0

    @property
    def is_open(self) -> bool:
        """Whether another audit is worth walking a path both ways: so far there are few, or the gain lies within two
        doubts of 0. A doubt falls with the root of the audits."""
        if self.audits < FEWEST_AUDITS:
            return True
        return self.audits < MOST_AUDITS and abs(self.gain_db) <= 2 * DOUBT_DB / math.sqrt(self.audits)

    def add(self, gain_db: float) -> None:
        """Learn from one audit by how many dB its smooth walk kept more; raises InvalidInput for NaN."""
        if math.isnan(gain_db):
            raise InvalidInput("a gain that is not a number teaches nothing")
        self.gain_sum += max(-AT_MOST_DB, min(gain_db, AT_MOST_DB))
        self.audits += 1

    def merge(self, other: Smoothing) -> Smoothing:
        """The audits of both, as a new one."""
        return Smoothing(self.gain_sum + other.gain_sum, self.audits + other.audits)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {"gain_sum": self.gain_sum, "audits": self.audits}

    @classmethod
    def from_dict(cls, document: Any) -> Smoothing:
        """What `to_dict` described; raises ValueError if it is damaged."""
        if not isinstance(document, dict) or set(document) != {"gain_sum", "audits"}:
            raise ValueError("`smoothing` needs exactly the fields gain_sum, audits")
        smoothing = cls(float(floats(document, "gain_sum", ())), int(counts(document, "audits", ())))
        if abs(smoothing.gain_sum) > AT_MOST_DB * smoothing.audits:
            raise ValueError("`gain_sum` is more than its audits can have said")
        return smoothing
