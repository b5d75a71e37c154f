"""What one trajectory did: which steps ran the network, which were skipped, and how wrong the skips were."""

from __future__ import annotations

from dataclasses import dataclass, field

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

    def add_evaluation(self, step: int) -> None:
        """The network ran at `step`, once."""
        self.evaluated.append(step)
        self.nfe += 1

    @property
    def skipped(self) -> int:
        """Steps passed without the network."""
        return sum(length for _, length in self.skips)
