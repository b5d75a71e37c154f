"""Whether an actor is there already, or waits for its node and its process.

Ray has no public call for it without its dashboard; the private one below is touched here alone.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

log = logging.getLogger(__name__)


def is_alive(actor: Any) -> bool:
    """True once its constructor is through; raises RayError while the head is away.

    On a Ray without the private call it is always True. Of an actor that waits that is the milder mistake: it is given
    time to answer, and then replaced, where one that works and were taken for waiting would be ended at its work.
    """
    try:
        from ray._private.state import state

        return bool(state.actor_table(actor._actor_id.hex()).get("State", "ALIVE") == "ALIVE")
    except (ImportError, AttributeError) as missing:
        _warn_once(str(missing))
        return True


@cache
def _warn_once(missing: str) -> None:
    log.error("! this Ray does not tell whether an actor is there (%s); install ray>=2.60,<2.61", missing)
