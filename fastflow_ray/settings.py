"""What a process is told by its environment. Other rooms take plain arguments."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from fastflow_ray.environment import ENVIRONMENT, MODELS, PREFIX
from fastflow_ray.errors import InvalidInput
from fastflow_ray.queue.limits import (
    BEAT_S,
    GRACE_S,
    LEASE_S,
    MAX_CRASHES,
    MAX_QUEUED,
    RECONNECT_S,
    RESULT_TTL_S,
    STALL_S,
)

log = logging.getLogger(__name__)

# What Kubernetes sets in every pod for a service whose name begins with `fastflow-`, such as that of the API.
OF_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$")
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]  # no header ends in an editor's newline


@cache
def _warn_once(name: str, nearest: str) -> None:
    log.warning("%s is no setting and is ignored; the nearest one is %s", name, nearest)


def _store_here() -> str:
    return (Path.cwd() / ".fastflow-ray" / "store").as_uri()


class Settings(BaseModel):
    """Each field is the variable FASTFLOW_<FIELD>, in capitals; an S3 endpoint is boto3's own AWS_ENDPOINT_URL_S3.

    Beside them there is FASTFLOW_MODELS, the file of an operator's own models, which the catalogue reads for itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # a URL may hold a password

    redis_url: Annotated[str, Field(pattern=r"^(rediss?(\+sentinel|\+cluster)?|unix)://", repr=False)] = (
        "redis://127.0.0.1:6379/0"
    )
    store_url: Annotated[str, Field(pattern=r"^(file|s3)://")] = Field(default_factory=_store_here)
    api_url: Annotated[str, Field(pattern=r"^https?://")] | None = None  # a fleet's HTTP API, instead of Redis
    api_key: Annotated[Key | None, Field(repr=False)] = None  # what that API asks for, and what a server of it demands
    lease_s: Seconds = LEASE_S
    beat_s: Seconds = BEAT_S
    grace_s: Seconds = GRACE_S
    stall_s: Seconds = STALL_S
    max_crashes: Annotated[int, Field(ge=1)] = MAX_CRASHES  # more where machines often vanish, and jobs with them
    max_queued: Annotated[int, Field(ge=1)] = MAX_QUEUED  # per queue; whoever submits is told, be it to the API
    result_ttl_s: Seconds = RESULT_TTL_S  # less where Redis has little memory, which ended jobs fill
    machine: str = ""  # its name, where a pod has another: a machine that loses GPUs is known again under its next pod

    @model_validator(mode="after")
    def _beats_within_the_lease(self) -> Self:
        if self.beat_s >= self.lease_s:
            raise ValueError(
                f"{PREFIX}BEAT_S={self.beat_s:g} is not below {PREFIX}LEASE_S={self.lease_s:g}: "
                "every lease would run out; beat at least three times per lease"
            )
        return self

    @model_validator(mode="after")
    def _grants_two_beats_and_a_reconnect(self) -> Self:
        least_s = 2 * self.beat_s + RECONNECT_S
        if self.grace_s < least_s:
            raise ValueError(
                f"{PREFIX}GRACE_S={self.grace_s:g} is below {least_s:g}, two of {PREFIX}BEAT_S={self.beat_s:g} and the "
                f"{RECONNECT_S:g} s in which a lost connection is tried again: jobs of live workers would be given away"
            )
        return self

    @property
    def limits(self) -> dict[str, Any]:
        """What a queue is opened with."""
        return self.model_dump(include={"max_crashes", "max_queued", "result_ttl_s"})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = ENVIRONMENT) -> Settings:
        """Read every variable once; empty ones count as unset. Raises InvalidInput naming the variable, and warns of
        those that are none of ours: a misspelt one would silently do nothing."""
        known = [MODELS, *(PREFIX + field.upper() for field in cls.model_fields)]
        for name in environment:
            if name.startswith(PREFIX) and name not in known and not OF_KUBERNETES.search(name):
                _warn_once(name, get_close_matches(name, known, n=1, cutoff=0.0)[0])
        variables = {field: environment.get(PREFIX + field.upper(), "") for field in cls.model_fields}
        try:
            return cls.model_validate({field: value for field, value in variables.items() if value})
        except ValidationError as refused:
            raise InvalidInput("; ".join(_said(problem) for problem in refused.errors())) from None


_WANTED = {
    "redis_url": "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
    "store_url": "must begin with file:// or s3://",
    "api_url": "must begin with http:// or https://",
    "api_key": "must be more than spaces",
    "max_crashes": "must be a whole number of workers, 1 or more",
    "max_queued": "must be a whole number of jobs, 1 or more",
}


def _said(problem: Mapping[str, object]) -> str:
    place = problem["loc"]
    if not isinstance(place, tuple) or not place:
        return str(problem["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{str(place[0]).upper()} " + _WANTED.get(str(place[0]), "must be a number of seconds above 0")
