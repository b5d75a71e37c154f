"""An audit of a generation: the same seed in full, decoded, and compared. What it teaches is in the trial."""

from __future__ import annotations

from fastflow_ray.media.fidelity import psnr_db, ssim
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep
from fastflow_ray.pace import Pace
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.trial import Fidelity, Trial


def audit(
    engine: Engine, spec: GenerationSpec, made: Generation, trial: Trial, on_step: OnStep
) -> tuple[Generation, Fidelity]:
    """Hold the trial of `made`: the full run, and how close what was made is to it, decoded and not yet encoded.

    Raises what the engine and `on_step` raise; nothing is learnt then but what was seen before.
    """

    def walk(plan: Plan) -> tuple[Generation, Sightings]:
        other = engine.generate(spec, None, on_step, Pace(plan=plan))
        return other, other.trial.seen if other.trial else Sightings()

    return trial.hold(made, walk, compare)


def compare(ours: Generation, theirs: Generation) -> Fidelity:
    """PSNR and SSIM of the decoded frames."""
    return Fidelity(psnr_db(ours.frames, theirs.frames), ssim(ours.frames, theirs.frames))
