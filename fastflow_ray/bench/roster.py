"""Every method there is, by its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from fastflow_ray.bench.cache_dit import CACHE_DIT
from fastflow_ray.bench.feature_caches import FEATURE_CACHES
from fastflow_ray.bench.method import Method
from fastflow_ray.bench.ours import LearnedPlan
from fastflow_ray.bench.solvers import SOLVERS
from fastflow_ray.bench.step_skipping import PublishedFastFlow, UniformFastFlow
from fastflow_ray.errors import InvalidInput


def roster(learning: Sequence[int]) -> list[Method]:
    """All of them, ours once for every count in `learning`; FastFlow as published learns as often as the most."""
    ours: list[Method] = [LearnedPlan(count) for count in sorted(learning)]
    published: list[Method] = [UniformFastFlow(), PublishedFastFlow(max(learning))]
    return [*SOLVERS, *FEATURE_CACHES, *CACHE_DIT, *published, *ours]


def chosen(names: Sequence[str], learning: Sequence[int]) -> list[Method]:
    """Those of these names, all if there are none; raises InvalidInput for a name there is not."""
    methods = roster(learning)
    known = list(dict.fromkeys(method.name for method in methods))
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(f"no method named {unknown[0]!r}; there are: {', '.join(known)}")
    return [method for method in methods if not names or method.name in names]
