"""What a fleet is told reaches its workers."""

from __future__ import annotations

from dataclasses import fields

from orchestration.autoscale import Limits
from orchestration.fleet_plan import SETTINGS, FleetPlan
from workers.config import WorkerConfig

TOLD = {"lease_s": 11.0, "beat_s": 2.0, "grace_s": 13.0, "stall_s": 17.0, "max_crashes": 5, "result_ttl_s": 19.0}
PLAN = FleetPlan("shapes", "redis://127.0.0.1:1/0", "file:///tmp/store", Limits(0, 1), **TOLD)


def test_a_worker_is_told_whatever_of_the_settings_concerns_it() -> None:
    assert set(TOLD) == SETTINGS
    worker = PLAN.worker("shapes-worker-0")
    concerned = {field.name for field in fields(WorkerConfig)} & SETTINGS
    assert {name: getattr(worker, name) for name in concerned} == {name: TOLD[name] for name in concerned}
    assert concerned == {"lease_s", "beat_s", "stall_s", "result_ttl_s"}
