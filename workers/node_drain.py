"""Whether the machine under a worker is about to leave the cluster: a spot notice, a scale-down, an upgrade.

Ray has no public call for it; Ray Train and Ray Serve use the private one below. It is touched here alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import ray
from ray.exceptions import RayError

from workers.private_ray import told_by_ray

log = logging.getLogger(__name__)


def node_is_draining() -> bool:
    """True from the moment Ray was asked to drain this process's node.

    On a Ray without the private call it is always False: the worker then leaves when its node does, and its job comes
    back by its lease instead of being handed over. So it is while the head is away, which is to be asked again.
    """
    try:
        draining: Mapping[str, int] = told_by_ray(
            "that a node is draining", lambda state: state.get_draining_nodes(), otherwise={}
        )
    except RayError as away:
        log.warning("! no look whether this node is draining: %s", away)
        return False
    return bool(draining) and ray.get_runtime_context().get_node_id() in draining
