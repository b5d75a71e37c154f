"""What Ray tells by a private call alone: how it is asked, and what is done where a later Ray has no such call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Told = TypeVar("Told")


def told_by_ray(what: str, ask: Callable[[Any], Told], otherwise: Told) -> Told:
    """The answer of Ray's own global state, and `otherwise` on a Ray without the call, which is complained of once.

    Raises RayError while the head is away.
    """
    try:
        from ray._private.state import state

        return ask(state)
    except (ImportError, AttributeError) as missing:
        _complain_once(what, str(missing))
        return otherwise


@cache
def _complain_once(what: str, missing: str) -> None:
    log.error("! this Ray does not tell %s (%s); install ray>=2.60,<2.61", what, missing)
