"""What a method of making a generation cheaper looks like to the benchmark. Knows no particular one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fastflow_ray.bench.regime import Regime

if TYPE_CHECKING:
    from fastflow_ray.bench.stage import Stage


class NotApplicable(Exception):
    """This method, or this setting of it, cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Setting:
    """One way to turn a method's knobs."""

    label: str  # names it within the method
    values: dict[str, Any] = field(default_factory=dict, compare=False)
    learns_alone: bool = False  # and not once together with the method's other settings


@dataclass(frozen=True)
class Learnt:
    """What a method knows after its learning generations, and what they cost, in evaluations of all branches' steps."""

    state: Any = None
    evaluations: float = 0.0


class Method(Protocol):
    """A row of the comparison."""

    @property
    def name(self) -> str:
        """As on the command line."""

    @property
    def learning(self) -> int:
        """How many generations it learns from before it is measured."""

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """What to measure: a setting per budget, or a fixed grid. Raises NotApplicable."""

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """Learn from generations that are not measured. Raises NotApplicable."""

    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> AbstractContextManager[int]:
        """Within, the stage's pipeline runs by this method; gives the number of steps to call it with.

        Changes nothing of `learnt`, so that the order of measurements does not matter. Raises NotApplicable.
        """


class LearnsNothing:
    """For methods that come ready."""

    learning = 0

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """Nothing, at no cost."""
        return Learnt()


# What a peer that meets a model it was not made for has been seen to raise.
DEFEATS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError, ImportError)


@contextmanager
def blaming(peer: str) -> Iterator[None]:
    """A peer that breaks costs its own row, not the comparison: what it raises becomes NotApplicable."""
    try:
        yield
    except DEFEATS as defeat:
        said = " ".join(str(defeat).split())[:160]
        raise NotApplicable(f"{peer} raised {type(defeat).__name__}: {said}") from defeat
