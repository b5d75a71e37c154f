"""What a fleet is told reaches its workers."""

from __future__ import annotations

from dataclasses import fields, replace
from unittest.mock import Mock

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.catalogue import BUILT_IN
from orchestration import fleet_plan
from orchestration.autoscale import Limits
from orchestration.fleet_plan import SETTINGS, FleetPlan
from workers.config import WorkerConfig

TOLD = {"lease_s": 11.0, "beat_s": 2.0, "grace_s": 13.0, "stall_s": 17.0, "max_crashes": 5, "result_ttl_s": 19.0}
PLAN = FleetPlan(("shapes",), "redis://127.0.0.1:1/0", "file:///tmp/store", Limits(0, 1), **TOLD)


def test_a_worker_is_told_whatever_of_the_settings_concerns_it() -> None:
    assert set(TOLD) == SETTINGS
    worker = PLAN.worker("shapes-worker-0")
    concerned = {field.name for field in fields(WorkerConfig)} & SETTINGS
    assert {name: getattr(worker, name) for name in concerned} == {name: TOLD[name] for name in concerned}
    assert concerned == {"lease_s", "beat_s", "stall_s", "result_ttl_s"}


def test_a_worker_is_told_of_the_models_that_are_its_operators_own() -> None:
    ours = replace(BUILT_IN["shapes"], name="ours")
    plan = replace(PLAN, models=("shapes", "ours"), own=(ours,))
    assert plan.worker("w").own == (ours,)
    assert PLAN.worker("w").own == ()


@pytest.mark.parametrize("models", [(), ("shapes", "shapes")])
def test_a_fleet_names_each_of_its_models_once(models: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="one model or several"):
        replace(PLAN, models=models)


def test_what_a_check_opens_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Mock] = []

    def opening(*arguments: str) -> Mock:
        opened.append(Mock())
        return opened[-1]

    for name in ("open_queue", "open_store"):
        monkeypatch.setattr(fleet_plan, name, opening)
    replace(PLAN, models=("shapes", "wan2.1-t2v-1.3b")).check()
    assert [one.close.call_count for one in opened] == [1, 1, 1]


def test_workers_are_called_after_their_place_and_found_wherever_it_was_when_they_were_made() -> None:
    elsewhere = replace(PLAN, place="fastflow-green")
    assert (PLAN.worker_suffix, elsewhere.worker_suffix) == ("", "@fastflow-green")
    assert elsewhere.worker_prefix == PLAN.worker_prefix


def test_every_worker_serves_all_models_of_its_fleet() -> None:
    several = replace(PLAN, models=("shapes", "wan2.1-t2v-1.3b"))
    assert several.worker("w").models == several.models
    assert not several.worker_prefix.startswith(PLAN.worker_prefix), "one fleet's workers are not another's"
