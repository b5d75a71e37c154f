"""What watches a fleet: each alert and panel asks for what is exported, and what is no use to anybody is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from fastflow_ray.errors import DeviceLost
from fastflow_ray.jobs.states import JobState
from k8s.check import alerts, dashboard, promql
from k8s.check.__main__ import MONITORING
from k8s.check.figures import figures
from k8s.check.manifests import Document, as_written, name_of
from k8s.check.pods import pods_of
from workers.ending import Fate
from workers.status import WorkerState

BOARD = dashboard.of_file(MONITORING / "dashboard.json")
WATCH = {name_of(document): document for document in as_written(MONITORING)}
RULES = WATCH["PrometheusRule/fastflow"]
STORY = Path(__file__).with_name("alerts.test.yaml").read_text()
STATES: dict[tuple[str, str], type[StrEnum]] = {
    ("ray_fastflow_jobs", "state"): JobState,
    ("ray_fastflow_workers", "state"): WorkerState,
    ("ray_fastflow_jobs_finished_total", "outcome"): Fate,
}
ELSEWHERE = {
    "ray_fastflow_queue_depth",  # told by state
    "ray_fastflow_jobs_started_total",  # told when they end
    "ray_fastflow_job_queue_sum_seconds_total",  # told by quantiles
    "ray_fastflow_cancel_latency_sum_seconds_total",
    "ray_fastflow_audits_total",  # told by fidelity
    "ray_fastflow_bandit_last_update_timestamp_seconds",  # forgotten between two lessons
}
CAUSES = {"died", "hung", "drained", "dismissed", "moved", DeviceLost.code}


def each_alert() -> list[dict[str, Any]]:
    return [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]


def every_question() -> list[str]:
    panels = [expression for panel in BOARD["panels"] for expression in dashboard.asked(panel)]
    return [*panels, *(rule["expr"] for rule in each_alert())]


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    assert list(alerts.problems(RULES)) == []
    assert list(dashboard.problems(BOARD)) == []


def test_every_figure_is_asked_for_but_those_that_others_tell_of() -> None:
    seen = {selector.name for question in every_question() for selector in promql.selectors(question)}
    assert {name for name, figure in figures().items() if not figure.series & seen} == ELSEWHERE


def test_states_that_are_asked_for_exist() -> None:
    for question in every_question():
        for selector in promql.selectors(question):
            for matcher in selector.matchers.matchers:
                known = {one.value for one in STATES.get((str(selector.name), matcher.name), ())}
                known |= CAUSES if matcher.name == "cause" else set()
                assert not known or set(matcher.value.split("|")) <= known, question


def test_every_alert_is_tried_out() -> None:
    assert [rule["alert"] for rule in each_alert() if f'"{rule["alert"]}"' not in STORY] == []


def test_monitors_scrape_every_pod_that_tells_of_figures(manifests: dict[str, Document]) -> None:
    pods = [pod for document in manifests.values() for pod in pods_of(document)]
    component = "app.kubernetes.io/component"
    scraped = {}
    for monitor in (WATCH["PodMonitor/fastflow-ray"], WATCH["PodMonitor/fastflow-api"]):
        selector = monitor["spec"]["selector"]
        chosen = {one["key"]: one.get("values") for one in selector.get("matchExpressions", [])}
        wanted = chosen.get(component) or [selector["matchLabels"][component]]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for pod in pods:
            if pod["metadata"].get("labels", {}).get(component) in wanted:
                ports = [port["name"] for one in pod["spec"]["containers"] for port in one.get("ports", [])]
                scraped[pod["metadata"]["name"]] = endpoint["port"] in ports
    assert scraped == {
        "RayCluster/fastflow/head": True,
        "RayCluster/fastflow/gpu": True,
        "Deployment/fastflow-api": True,
    }


Breakage = Callable[[dict[str, Any]], object]
ALERT_BREAKAGES: list[tuple[Breakage, str]] = [
    (lambda rule: rule.update(expr="ray_fastflow_queue_dept > 1"), "asks for ray_fastflow_queue_dept, which nothing"),
    (lambda rule: rule.update(expr="ray_fastflow_job_queue_seconds_sum > 1"), "job_queue_seconds_sum, which nothing"),
    (lambda rule: rule.update(expr='ray_fastflow_jobs{stat="dead"}'), "by stat, a label that it has not"),
    (lambda rule: rule.update(expr="sum by (model) ("), "is no PromQL"),
    (lambda rule: rule.update(expr='{model="m"}'), "a selector without a name"),
    (lambda rule: rule.update(labels={"severity": "soon"}), "needs a severity, one of page, ticket"),
    (lambda rule: rule.pop("for"), "needs a `for`"),
    (lambda rule: rule["annotations"].pop("summary"), "needs a summary"),
    (lambda rule: rule["annotations"].update(description="Too bad."), "must tell what to do first"),
    (lambda rule: rule.update(alert=each_alert()[1]["alert"]), "two alerts are named FastflowOldestJobTooOld"),
]


@pytest.mark.parametrize(("breakage", "complaint"), ALERT_BREAKAGES)
def test_an_alert_that_is_no_use_is_refused(breakage: Breakage, complaint: str) -> None:
    broken = copy.deepcopy(RULES)
    breakage(broken["spec"]["groups"][0]["rules"][0])
    assert any(complaint in problem for problem in alerts.problems(broken))


def first_panel(board: dict[str, Any]) -> dict[str, Any]:
    panel: dict[str, Any] = board["panels"][1]
    return panel


BOARD_BREAKAGES: list[tuple[Breakage, str]] = [
    (lambda board: board.update(uid="other"), "its uid must be fastflowFleet"),
    (lambda board: board["templating"]["list"].pop(0), "needs the variable datasource"),
    (lambda board: board["templating"]["list"].pop(1), "there is no variable model"),
    (lambda board: first_panel(board).update(id=board["panels"][2]["id"]), "two panels have the id"),
    (lambda board: first_panel(board)["gridPos"].update(w=4), "Alarms covers Supervisor's pulse"),
    (lambda board: first_panel(board)["gridPos"].update(x=22), "Alarms: reaches beyond 24 columns"),
    (lambda board: first_panel(board).pop("description"), "Alarms: needs a description"),
    (lambda board: first_panel(board)["fieldConfig"]["defaults"].pop("unit"), "Alarms: needs a unit"),
    (lambda board: first_panel(board).update(datasource="Prometheus"), "Alarms: must ask the datasource"),
    (lambda board: first_panel(board).update(targets=[]), "Alarms: asks for nothing"),
    (lambda board: first_panel(board)["targets"][0].update(expr="ray_fastflow_wrkers"), "which nothing exports"),
]


@pytest.mark.parametrize(("breakage", "complaint"), BOARD_BREAKAGES)
def test_a_dashboard_that_cannot_be_drawn_or_read_is_refused(breakage: Breakage, complaint: str) -> None:
    broken = copy.deepcopy(BOARD)
    breakage(broken)
    assert any(complaint in problem for problem in dashboard.problems(broken))
