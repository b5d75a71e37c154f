"""Whether predictions should be smoother than what was learnt says, as audits walked one path on one seed both ways."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastflow_ray.bandit.fields import counts, floats
from fastflow_ray.errors import InvalidInput

AT_MOST_DB = 6.0  # what one audit may say: a video that falls apart one way and not the other is a matter of luck
DOUBT_DB = 3.0  # standard deviation of what one audit says
STANDING_DB = -0.5  # what smooth predictions are taken to gain before any audit
FIRM = 2  # audits that this counts as
HEARD = 4  # audits at least, before one way is walked no more
ENOUGH = 16  # audits at most: between ways that they do not tell apart there is little to choose


@dataclass
class Smoothing:
    """What smooth predictions kept beyond those as learnt, over all plans and budgets of one key."""

    gain_sum: float = 0.0  # dB, of each audit at most `AT_MOST_DB` either way
    audits: int = 0

    @property
    def gain_db(self) -> float:
        """What they are believed to gain on average."""
        return (self.gain_sum + FIRM * STANDING_DB) / (self.audits + FIRM)

    @property
    def pays(self) -> bool:
        """Whether predictions should be smooth."""
        return self.gain_db > 0

    @property
    def is_open(self) -> bool:
        """Whether another audit could still change that and be worth it: few were heard, or they differ by less than
        two doubts."""
        if self.audits < HEARD:
            return True
        return self.audits < ENOUGH and abs(self.gain_db) <= 2 * DOUBT_DB / math.sqrt(self.audits)

    def add(self, gain_db: float) -> None:
        """Learn from one audit that walked a path on one seed both ways; raises InvalidInput unless it is a number."""
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
