"""In a namespace that refuses whatever no policy allows, those who have to speak to each other can, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from k8s.check.manifests import Document
from k8s.check.pods import pods_of

COMPONENT = "app.kubernetes.io/component"
SERVERS = {"jobs-redis", "gcs-redis"}  # their label is given by kustomize
NEEDED = {
    ("fleet-starter", "head", 10001),
    ("worker", "head", 6379),
    ("head", "worker", 22001),
    ("worker", "worker", 22001),
    ("prometheus", "head", "metrics"),
    ("prometheus", "worker", "metrics"),
    ("ingress", "api", "http"),
    ("prometheus", "api", "http"),
    ("head", "gcs-redis", 6379),
    *((who, "jobs-redis", 6379) for who in ("api", "fleet-starter", "head", "worker")),
}
REFUSED = {
    ("ingress", "head", 10001),
    ("ingress", "head", 8265),
    ("api", "head", 10001),
    ("ingress", "worker", 22001),
    ("worker", "gcs-redis", 6379),
    ("ingress", "jobs-redis", 6379),
}


def selects(selector: dict[str, Any], component: str) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    labels = {COMPONENT: component}
    wanted = selector.get("matchLabels", {})
    assert all(one["operator"] == "In" for one in selector.get("matchExpressions", []))
    return wanted.items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )


def lets_in(rule: dict[str, Any], sender: str, port: int | str) -> bool:
    senders, ports = rule.get("from"), rule.get("ports")
    return (senders is None or any(selects(one["podSelector"], sender) for one in senders)) and (
        ports is None or port in [one["port"] for one in ports]
    )


@pytest.fixture
def policies(manifests: dict[str, Document]) -> list[dict[str, Any]]:
    return [document["spec"] for document in manifests.values() if document["kind"] == "NetworkPolicy"]


def is_allowed(policies: list[dict[str, Any]], sender: str, receiver: str, port: int | str) -> bool:
    own = [policy for policy in policies if selects(policy["podSelector"], receiver)]
    return any(lets_in(rule, sender, port) for policy in own for rule in policy["ingress"])


@pytest.mark.parametrize(("sender", "receiver", "port"), sorted(NEEDED, key=str))
def test_what_has_to_be_reached_is(policies: list[dict[str, Any]], sender: str, receiver: str, port: int | str) -> None:
    assert is_allowed(policies, sender, receiver, port)


@pytest.mark.parametrize(("sender", "receiver", "port"), sorted(REFUSED, key=str))
def test_what_need_not_be_reached_is_not(
    policies: list[dict[str, Any]], sender: str, receiver: str, port: int | str
) -> None:
    assert not is_allowed(policies, sender, receiver, port)


def test_every_pod_is_one_that_the_policies_know(manifests: dict[str, Document]) -> None:
    pods = [pod for document in manifests.values() for pod in pods_of(document)]
    labelled = {pod["metadata"].get("labels", {}).get(COMPONENT) for pod in pods} - {None}
    named = {receiver for _, receiver, _ in NEEDED} | {sender for sender, _, _ in NEEDED}
    assert labelled | SERVERS | {"prometheus", "ingress"} == named


def test_ports_that_policies_name_are_the_pods_own(manifests: dict[str, Document]) -> None:
    named = {"api": "http", "head": "metrics", "worker": "metrics"}
    for document in manifests.values():
        for pod in pods_of(document):
            if port := named.get(pod["metadata"].get("labels", {}).get(COMPONENT, "")):
                assert port in [each.get("name") for each in pod["spec"]["containers"][0]["ports"]]
