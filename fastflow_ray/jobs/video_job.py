"""A request for one video, as a value. Everything a user may ask for stands here, with its limits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from fastflow_ray.acceleration import Acceleration, Preset
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.video_fields import MODEL, MODEL_IN_WORDS, Fps, Frames, Guidance, Shift, Side, Steps

PROMPT_LIMIT = 2_000
TENANT = r"^[A-Za-z0-9._-]{1,64}$"
IN_WORDS = {
    TENANT: "use 1 to 64 English letters, digits, '.', '_' and '-'",
    MODEL: MODEL_IN_WORDS,
}
MONTH_S = 30 * 86_400.0
ONE_OF = ("evaluations", "speedup", "fidelity_db", "preset")  # at most one of them says how much may be skipped
NO_PROMPT = "the prompt is empty; describe the video in a few words"
NO_MODEL = "the name is empty; name a model, or leave it out for shapes"


class VideoJob(BaseModel):
    """One video to make. Fields left at None take the model's own default (`models/catalogue.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)]
    negative_prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)] = ""
    model: Annotated[str, Field(pattern=MODEL)] = "shapes"
    width: Side | None = None
    height: Side | None = None
    frames: Frames | None = None
    fps: Fps | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    shift: Shift | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None  # None: drawn when the job is submitted
    acceleration: Acceleration = Acceleration.AUTO
    # What `auto` is to reach. At most one of the next four; without any, a speedup of 2.6.
    evaluations: Annotated[int, Field(ge=2, le=200)] | None = None  # steps that run the network, of all
    speedup: Annotated[float, Field(ge=1.0)] | None = None  # steps / speedup of them do
    fidelity_db: Annotated[float, Field(ge=10.0, le=80.0)] | None = None  # PSNR against the full run, at least
    preset: Preset | None = None  # a fidelity by name: the table of `acceleration.py`
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] | None = None  # that `fidelity_db` is kept; None: 0.95
    audit: bool | None = None  # the same seed in full too, to measure the fidelity; None: where the fleet wants to know
    lane: Lane | None = None  # an earlier one is served before a later one, whoever's the jobs are; None: standard
    priority: Annotated[int, Field(ge=0, le=255)] = 100  # of one tenant's jobs in one lane the higher runs earlier
    tenant: Annotated[str, Field(pattern=TENANT)] = "default"  # tenants share each lane, by their weights
    delay_s: Annotated[float, Field(ge=0.0, le=MONTH_S)] | None = None  # from its submission until it may start
    deadline_s: Annotated[float, Field(ge=1.0, le=MONTH_S)] | None = None  # from submission; no attempt begins later
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError(NO_PROMPT)
        return prompt

    @field_validator("model", mode="before")
    @classmethod
    def _is_named(cls, model: object) -> object:
        if isinstance(model, str) and not model.strip():
            raise ValueError(NO_MODEL)
        return model

    @field_validator(*ONE_OF, "confidence")
    @classmethod
    def _is_said_to_auto(cls, value: Any, info: ValidationInfo) -> Any:
        mode = info.data.get("acceleration", Acceleration.AUTO)
        if value is not None and mode is not Acceleration.AUTO:
            raise ValueError(f"it tells acceleration auto what to reach; with {mode} leave it out")
        return value

    @field_validator(*ONE_OF)
    @classmethod
    def _is_the_only_one(cls, value: Any, info: ValidationInfo) -> Any:
        others = [name for name in ONE_OF if info.data.get(name) is not None]
        if value is not None and others:
            raise ValueError(f"{others[0]} says already what to reach; give only one of the two")
        return value

    @field_validator("confidence")
    @classmethod
    def _is_that_of_a_fidelity(cls, confidence: float | None, info: ValidationInfo) -> float | None:
        if confidence is not None and info.data.get("fidelity_db", 0.0) is None:
            raise ValueError("it says how surely a fidelity_db is kept; give that too, or leave it out")
        return confidence

    @field_validator("deadline_s")
    @classmethod
    def _is_after_the_delay(cls, deadline_s: float | None, info: ValidationInfo) -> float | None:
        if deadline_s is not None and deadline_s <= (info.data.get("delay_s") or 0.0):
            raise ValueError("it would be over before the delay is; allow more time, or delay less")
        return deadline_s
