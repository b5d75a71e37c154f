"""What one trajectory did: which steps ran the network, which were skipped, and how wrong the skips were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.plan import Plan


@dataclass
class Trace:
    """Grows while the trajectory runs; complete when `evaluated` and the skips cover all `steps`."""

    steps: int  # N, of the grid
    nfe: int = 0  # network evaluations, each guidance branch counted
    evaluated: list[int] = field(default_factory=list)  # step indices, rising
    skips: list[tuple[int, int]] = field(default_factory=list)  # (step, skipped): chosen after evaluating `step`
    errors: list[tuple[int, int, float]] = field(default_factory=list)  # (step, skipped, MSE of the prediction)
    audit_db: float | None = None  # PSNR of x against the full run of the same seed, where one was made
    expected_db: float | None = None  # fidelity the plan was expected to keep; None where that cannot be told
    snapshot: str | None = None  # which statistics the plan came from
    added: list[int] = field(default_factory=list)  # evaluated beyond the plan, for its errors had left their band
    plan: Plan | None = None  # that was walked; walked again from the same noise, it gives the same bits
    resumed: list[int] = field(default_factory=list)  # steps that were behind it when another worker went on

    def add_evaluation(self, step: int) -> None:
        """The network ran at `step`, once."""
        self.evaluated.append(step)
        self.nfe += 1

    def to_dict(self) -> dict[str, Any]:
        """What has happened so far, as JSON values; floats keep every bit. Not what was expected or measured."""
        return {
            "steps": self.steps,
            "nfe": self.nfe,
            "evaluated": list(self.evaluated),
            "skips": [list(skip) for skip in self.skips],
            "errors": [list(error) for error in self.errors],
            "plan": self.plan.to_dict() if self.plan is not None else None,
            "resumed": list(self.resumed),
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Tell what `to_dict` told; raises InvalidInput, KeyError, TypeError or ValueError if it is not of this grid
        and kind."""
        plan = Plan.from_dict(fields["plan"]) if fields["plan"] is not None else None
        if fields["steps"] != self.steps or (plan is None) != (self.plan is None):
            raise InvalidInput(f"this is not the trace of a trajectory of {self.steps} steps that goes the same way")
        self.plan, self.nfe = plan, int(fields["nfe"])
        self.evaluated = [int(step) for step in fields["evaluated"]]
        self.skips = [(int(step), int(skipped)) for step, skipped in fields["skips"]]
        self.errors = [(int(step), int(skipped), float(error)) for step, skipped, error in fields["errors"]]
        self.resumed = [int(step) for step in fields["resumed"]]

    @property
    def skipped(self) -> int:
        """Steps passed without the network."""
        return sum(length for _, length in self.skips)
