"""The manifest: what was made, how, and where its files are. It is a job's result, in the store and in the queue.

A value; it knows neither stores nor queues.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from fastflow_ray.acceleration import Acceleration, Preset
from fastflow_ray.errors import InvalidInput
from fastflow_ray.pace import Wish, pace_fields
from fastflow_ray.storage.seal import sealed

SCHEMA_VERSION: Literal[1] = 1
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def job_folder(job_id: str) -> str:
    """The prefix of all keys of a job; raises InvalidInput for what is no job id."""
    if not JOB_ID.fullmatch(job_id):
        raise InvalidInput(f"{job_id[:80]!r} is not a job id; use 1 to 128 letters, digits, '-' and '_'")
    return f"jobs/{job_id}/"


def attempt_folder(job_id: str, fence: int) -> str:
    """The prefix of all files that one attempt uploads; raises InvalidInput."""
    return f"{job_folder(job_id)}{fence:d}/"


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredFile(_Value):
    """One file of a result, as it was read back after the upload."""

    key: str
    size: Annotated[int, Field(ge=0)]  # bytes
    sha256: Sha256
    content_type: str


class AskedPace(_Value):
    """What `auto` was to reach; written without what was not said."""

    preset: Preset | None = None
    evaluations: int | None = None  # steps that run the network
    speedup: float | None = None  # steps / speedup of them do
    fidelity_db: float | None = None  # PSNR of the decoded frames against the full run, at least
    confidence: float | None = None  # that it is kept

    @classmethod
    def of(cls, wish: Wish) -> AskedPace | None:
        """What `pace_of` makes of it."""
        fields = pace_fields(wish)
        return None if fields is None else cls.model_validate(fields)

    @model_serializer(mode="wrap")
    def _without_gaps(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


class Evaluations(_Value):
    """How much of the network's work was done."""

    planned: Annotated[int, Field(ge=0)]  # steps to evaluate, as sampling began: FastFlow decides on the way
    added: Annotated[int, Field(ge=0)] = 0  # steps beyond the plan, for its errors had left their band
    made: Annotated[int, Field(ge=0)]  # steps at which the network ran
    skipped: Annotated[int, Field(ge=0)]  # steps at which it did not
    nfe: Annotated[int, Field(ge=0)]  # network evaluations, each guidance branch counted
    baseline_nfe: Annotated[int, Field(ge=0)]  # the same without skipping


class Audit(_Value):
    """The video against the same seed run in full, both decoded and not yet encoded."""

    psnr_db: float | None  # None: the two are equal, and the ratio is infinite
    ssim: float  # mean over the frames; 1 if equal
    full_nfe: Annotated[int, Field(ge=0)]  # what the full run cost in network evaluations,
    full_sample_s: float  # and in seconds of sampling
    nfe: Annotated[int, Field(ge=0)] = 0  # of everything the audit ran: the full run, and rival plans where it was due

    @field_validator("psnr_db", mode="before")
    @classmethod
    def _json_has_no_infinity(cls, psnr_db: object) -> object:
        return None if psnr_db == math.inf else psnr_db


class Outcome(_Value):
    """What one attempt made and how; a manifest before its files have a place."""

    job_id: str
    payload_sha256: Sha256  # of the job as it was queued: an id may be used again once the queue has forgotten it
    fence: Annotated[int, Field(ge=0)]  # of the attempt that made it
    attempt: Annotated[int, Field(ge=1)]
    worker: str
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
    acceleration: Acceleration
    evaluations: Evaluations
    evaluated_steps: tuple[int, ...]  # step indices, rising
    resumed_at_steps: tuple[int, ...] = ()  # steps that were behind it whenever another attempt went on
    pace: AskedPace | None = None  # of acceleration auto
    plan: dict[str, JsonValue] | None = None  # as walked, by `Plan.to_dict`: walked again, it makes the same frames
    snapshot: str | None = None  # short name of the statistics that the plan came from
    expected_fidelity_db: float | None = None  # PSNR, a mean over audited videos; None: not known, or no skip
    economies: tuple[Literal["offload", "tiling"], ...] = ()  # what saved memory; tiles move the frames a little
    remarks: tuple[str, ...] = ()  # what was asked for and the model passed over, a sentence each
    frames_sha256: Sha256 | None = None  # of the decoded frames: float32, little-endian, (frames, height, width, 3)
    phase_s: dict[str, float]  # seconds per phase of this attempt: load, text_encode, sample, decode, encode
    audit: Audit | None = None
    versions: dict[str, str]  # of fastflow_ray, torch, diffusers, …
    created_s: float  # since the epoch

    @model_serializer(mode="wrap")
    def _without_what_says_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A reader of an earlier version knows no remarks, and refuses what it does not know."""
        fields: dict[str, Any] = write(self)
        if not self.remarks:
            fields.pop("remarks", None)
        return fields

    @field_validator("job_id")
    @classmethod
    def _is_a_job_id(cls, job_id: str) -> str:
        try:
            job_folder(job_id)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return job_id


class Manifest(Outcome):
    """A published result. `model_dump(mode="json")` is what a queue keeps, `to_json` what a store keeps."""

    schema_version: Literal[1] = SCHEMA_VERSION
    files: Annotated[dict[str, StoredFile], Field(min_length=1)]  # video, thumbnail, …

    @model_validator(mode="after")
    def _names_only_its_own_files(self) -> Self:
        own = attempt_folder(self.job_id, self.fence)
        for name, file in self.files.items():
            if not file.key.startswith(own):
                raise ValueError(f"the file {name!r} is at {file.key}, outside {own}")
        return self

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size for file in self.files.values())

    def to_json(self) -> bytes:
        """UTF-8 JSON, indented for people and sealed: see `storage.seal`."""
        return sealed(self.model_dump(mode="json"))
