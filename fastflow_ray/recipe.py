"""A recipe: what of a manifest it takes to make the same video again. Knows no file and no queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.errors import InvalidInput

if TYPE_CHECKING:
    from fastflow_ray.models.engine import GenerationSpec


class Recipe(BaseModel):
    """The fields of `storage.manifest.Outcome` that decide the frames; whatever else it holds is not looked at."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    model: str
    revision: str  # of the weights
    prompt: str
    negative_prompt: str
    width: int  # px
    height: int  # px
    frames: int
    fps: int
    steps: int
    guidance: float
    shift: float
    seed: int
    evaluated_steps: tuple[int, ...]
    plan: dict[str, JsonValue] | None = None
    economies: tuple[str, ...] = ()  # what saved memory
    frames_sha256: str | None = None  # None: made before manifests said it
    versions: dict[str, str] = {}  # of the software and the device that made the frames

    @classmethod
    def read(cls, manifest: Any) -> Self:
        """From a manifest's JSON text, or from its values; raises InvalidInput for anything else."""
        try:
            return cls.model_validate_json(manifest) if isinstance(manifest, bytes) else cls.model_validate(manifest)
        except ValidationError as error:
            fields = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})[:4])
            wrong = f": see {fields}" if fields else ""
            raise InvalidInput(f"this is no manifest of a video{wrong}; give a result.json or a job's id") from None

    def spec(self) -> GenerationSpec:
        """The video once more, its plan walked as it is.

        Raises InvalidInput for a damaged plan, and for a video that FastFlow as published skipped steps of: it decides
        on the way and leaves no plan.
        """
        from fastflow_ray.models.engine import GenerationSpec
        from fastflow_ray.pace import Pace
        from fastflow_ray.sampling.plan import Plan

        pace = None if self.plan is None else Pace(plan=Plan.from_dict(self.plan))
        if pace is None and len(self.evaluated_steps) != self.steps:
            raise InvalidInput(
                "a video that skipped without a plan cannot be replayed; only acceleration auto keeps one"
            )
        return GenerationSpec(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            width=self.width,
            height=self.height,
            frames=self.frames,
            fps=self.fps,
            steps=self.steps,
            guidance=self.guidance,
            shift=self.shift,
            seed=self.seed,
            acceleration=Acceleration.OFF if pace is None else Acceleration.AUTO,
            pace=pace,
            frugal=bool(self.economies),
        )

    def changed(self, versions: dict[str, str], revision: str) -> list[str]:
        """What is not as it was when the frames were made, such as "torch 2.6.0 was 2.5.1"."""
        before, now = {"revision": self.revision} | self.versions, {"revision": revision} | versions
        names = sorted(before.keys() & now.keys())
        return [f"{name} {now[name]} was {was}" for name in names if (was := before[name]) != now[name]]
