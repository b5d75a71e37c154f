"""What a generation did, as values for manifests and reports: what it evaluated, what was expected and what measured.

Where the trace of `sampling/` becomes the JSON of `storage/manifest.py`; knows no job and no queue.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastflow_ray.media.frames import frames_sha256
from fastflow_ray.models.engine import Generation, GenerationSpec
from fastflow_ray.storage.manifest import Evaluations

if TYPE_CHECKING:
    from fastflow_ray.sampling.trace import Trace


def evaluations_of(trace: Trace) -> Evaluations:
    """How much of the network's work was done. Without a plan, all of it was planned before the first decision."""
    made, added = len(trace.evaluated), len(trace.added)
    branches = trace.nfe // made
    return Evaluations(
        planned=trace.steps if trace.plan is None else made - added,
        added=added,
        made=made,
        skipped=trace.skipped,
        nfe=trace.nfe,
        baseline_nfe=trace.steps * branches,
    )


def numbers_of(spec: GenerationSpec) -> dict[str, Any]:
    """What was to be made, without the pace, of which the plan is what came, and without whether on less memory."""
    return {name: value for name, value in vars(spec).items() if name not in ("pace", "frugal")}


def account_of(made: Generation) -> dict[str, Any]:
    """The fields of a manifest that tell how the frames came about, as JSON values, which know no infinity."""
    trace = made.trace
    return {
        "evaluations": evaluations_of(trace).model_dump(),
        "evaluated_steps": list(trace.evaluated),
        "resumed_at_steps": list(trace.resumed),
        "plan": trace.plan.to_dict() if trace.plan is not None else None,
        "snapshot": trace.snapshot,
        "expected_fidelity_db": None if trace.expected_db == math.inf else trace.expected_db,
        "economies": list(made.economies),
        "remarks": list(made.remarks),
        "frames_sha256": frames_sha256(made.frames),
    }
