"""A generation that ran out of memory is made once more on less of it. Knows no job, no queue and no model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from fastflow_ray.errors import OutOfMemory

if TYPE_CHECKING:
    from fastflow_ray.models.engine import GenerationSpec

log = logging.getLogger(__name__)
Made = TypeVar("Made")


def within_memory(make: Callable[[GenerationSpec], Made], spec: GenerationSpec) -> Made:
    """What `make` makes of the spec, or of the frugal one if memory did not suffice; raises as it does.

    It is the same seed both times: what `make` learnt before it raised must not count beside what it learns then.
    """
    try:
        return make(spec)
    except OutOfMemory as error:
        if spec.frugal:
            raise
        log.warning("! %s; once more, frugally", str(error))  # a log that kept the error would keep its memory too
    # Outside the handler, whose traceback would hold memory still.
    return make(replace(spec, frugal=True))
