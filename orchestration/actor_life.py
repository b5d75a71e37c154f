"""Whether an actor is there already, or waits for its node and its process.

Ray has no public call for it without its dashboard; the private one below is touched here alone.
"""

from __future__ import annotations

from typing import Any

from workers.private_ray import told_by_ray


def is_alive(actor: Any) -> bool:
    """True once its constructor is through; raises RayError while the head is away.

    On a Ray without the private call it is always True. Of an actor that waits that is the milder mistake: it is given
    time to answer, and then replaced, where one that works and were taken for waiting would be ended at its work.
    """
    return told_by_ray(
        "whether an actor is there",
        lambda state: bool(state.actor_table(actor._actor_id.hex()).get("State", "ALIVE") == "ALIVE"),
        otherwise=True,
    )
