"""How fast a generation shall be: the one number its plan is drawn up for, or the plan itself.

Knows no statistics: what a pace costs or keeps is learnt elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol

from fastflow_ray.acceleration import DEFAULT_SPEEDUP, FIDELITY_DB, Acceleration, Preset
from fastflow_ray.errors import InvalidInput

if TYPE_CHECKING:
    from fastflow_ray.sampling.plan import Plan

CONFIDENCE = 0.95
FEWEST = 2  # evaluations: a skipped step is predicted from two


class Wish(Protocol):
    """What a user says of acceleration; None is not said. `jobs.VideoJob` is one."""

    @property
    def acceleration(self) -> Acceleration: ...
    @property
    def evaluations(self) -> int | None: ...
    @property
    def speedup(self) -> float | None: ...
    @property
    def fidelity_db(self) -> float | None: ...
    @property
    def preset(self) -> Preset | None: ...
    @property
    def confidence(self) -> float | None: ...


@dataclass(frozen=True)
class Pace:
    """Exactly one of `evaluations`, `speedup`, `fidelity_db` and `plan` is given; raises InvalidInput otherwise."""

    evaluations: int | None = None  # steps that run the network
    speedup: float | None = None  # steps / speedup of them do
    fidelity_db: float | None = None  # PSNR against the full run of the same seed, at least
    confidence: float = CONFIDENCE  # that the fidelity is kept
    plan: Plan | None = None  # walked as it is, to make the same video again

    def __post_init__(self) -> None:
        if sum(wish is not None for wish in (self.evaluations, self.speedup, self.fidelity_db, self.plan)) != 1:
            raise InvalidInput("give exactly one of `evaluations`, `speedup`, `fidelity_db` and `plan`")
        if self.evaluations is not None and not (_is_whole(self.evaluations) and self.evaluations >= FEWEST):
            raise InvalidInput(f"evaluations = {self.evaluations!r} is no budget; use a whole number from {FEWEST}")
        if self.speedup is not None and not (is_finite(self.speedup) and self.speedup >= 1):
            raise InvalidInput(f"speedup = {self.speedup!r} is none; use a number from 1, such as 2.6")
        if self.fidelity_db is not None and not (is_finite(self.fidelity_db) and self.fidelity_db > 0):
            raise InvalidInput(f"fidelity_db = {self.fidelity_db!r} is no PSNR; use a number of dB above 0, such as 40")
        if not (is_finite(self.confidence) and 0 < self.confidence < 1):
            raise InvalidInput(f"confidence = {self.confidence!r} is none; use a number between 0 and 1, such as 0.95")
        if self.confidence != CONFIDENCE and self.fidelity_db is None:
            raise InvalidInput("`confidence` says how surely a `fidelity_db` is kept; give that, or leave it out")

    def check(self, steps: int, grid: str | None = None) -> None:
        """Raise InvalidInput unless a grid of so many steps, with this fingerprint, can be walked at this pace."""
        if self.plan is not None:
            self.plan.check(steps, grid)
        elif self.fidelity_db is None:
            self.evaluations_for(steps)

    def wants_every(self, steps: int) -> bool:
        """Whether all of so many steps are to run the network: then nothing is skipped, whatever is known."""
        if self.plan is not None:
            return not self.plan.predict
        return self.fidelity_db is None and self.evaluations_for(steps) == steps

    def evaluations_for(self, steps: int) -> int:
        """How many of `steps` run the network, where `evaluations` or `speedup` says so; raises InvalidInput if that
        cannot be."""
        if self.speedup is not None:
            made = round(steps / self.speedup)
            if made < FEWEST:
                most = f"{steps / FEWEST:g}"
                raise InvalidInput(
                    f"a speedup of {self.speedup:g} leaves {made} of {steps} steps; ask for {most} at most"
                )
            return made
        if self.evaluations is None or self.evaluations > steps:
            raise InvalidInput(f"{self.evaluations} of {steps} steps cannot be evaluated; ask for {FEWEST} to {steps}")
        return int(self.evaluations)


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral)


def is_finite(number: object) -> bool:
    """Whether this is a real number that a float can hold."""
    try:
        return isinstance(number, Real) and math.isfinite(number)
    except OverflowError:  # a whole number beyond all floats
        return False


def asked(
    *,
    evaluations: int | None = None,
    speedup: float | None = None,
    fidelity_db: float | None = None,
    confidence: float = CONFIDENCE,
    plan: Plan | None = None,
) -> Pace | None:
    """The pace these make; None where nothing was asked. Raises InvalidInput as `Pace` does."""
    if confidence == CONFIDENCE and all(wish is None for wish in (evaluations, speedup, fidelity_db, plan)):
        return None
    return Pace(evaluations, speedup, fidelity_db, confidence, plan)


def pace_of(wish: Wish) -> Pace | None:
    """The pace of acceleration `auto`, by the default speedup where nothing else is said; None without `auto`.

    Raises InvalidInput as `Pace` does.
    """
    if wish.acceleration is not Acceleration.AUTO:
        return None
    named = asked(
        evaluations=wish.evaluations,
        speedup=wish.speedup,
        fidelity_db=wish.fidelity_db if wish.preset is None else FIDELITY_DB[wish.preset],
        confidence=CONFIDENCE if wish.confidence is None else wish.confidence,
    )
    return named or Pace(speedup=DEFAULT_SPEEDUP)


def pace_fields(wish: Wish) -> dict[str, Any] | None:
    """What `pace_of` understood, as JSON values under the names in which it is asked for; None without `auto`."""
    pace = pace_of(wish)
    if pace is None:
        return None
    if pace.fidelity_db is None:
        return {"evaluations": pace.evaluations} if pace.speedup is None else {"speedup": pace.speedup}
    preset = {} if wish.preset is None else {"preset": wish.preset.value}
    return {**preset, "fidelity_db": pace.fidelity_db, "confidence": pace.confidence}
