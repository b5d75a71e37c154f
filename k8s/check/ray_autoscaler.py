"""A RayCluster as Ray's own autoscaler reads it: into node types with resources and limits."""

from __future__ import annotations

from collections.abc import Iterator

# Private in Ray. Imported by name, so that a Ray in which it has moved stops this check instead of passing it.
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from k8s.check.manifests import Document


def problems(cluster: Document) -> Iterator[str]:
    """Why Ray's autoscaler could not work with the cluster; nothing if it could."""
    placed = {**cluster, "metadata": {"namespace": "default", **cluster["metadata"]}}
    try:
        _derive_autoscaling_config_from_ray_cr(placed)
    except (ValueError, KeyError, AssertionError, TypeError, AttributeError) as error:
        yield f"Ray's autoscaler cannot read it: {type(error).__name__}: {error}"
