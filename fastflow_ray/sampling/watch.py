"""Who looks on while a plan is walked, as the samplers see it: may have more steps evaluated, never fewer."""

from __future__ import annotations

from collections.abc import Callable

from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

Watch = Callable[[Plan, Sightings], Plan]  # after an evaluation: the plan to go on by, the same up to there


def unwatched(plan: Plan, sightings: Sightings) -> Plan:
    """Go on as planned."""
    return plan
