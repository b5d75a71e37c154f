"""A definition refuses what an API server would refuse, and lets the rest pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.check.custom_resource import CustomResourceDefinition, fill_in_defaults

CRD = Path(__file__).with_name("widget_crd.yaml")


@pytest.fixture(scope="module")
def widgets() -> CustomResourceDefinition:
    return CustomResourceDefinition.from_file(CRD)


def widget(version: str = "example.com/v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "Widget", "metadata": {"name": "w", "labels": {"a": "b"}}, "spec": spec}


@pytest.mark.parametrize(
    "spec",
    [
        {"size": 3},
        {"size": 3, "mood": None},
        {"size": 3, "share": 5},
        {"size": 3, "share": "500m"},
        {"size": 3, "labels": {"any": "name"}},
        {"size": 3, "extra": {"anything": {"at": "all"}}},
        {"size": 3, "parts": [{"name": "a"}, {"name": "b", "weight": 2}]},
    ],
)
def test_a_valid_object_passes(widgets: CustomResourceDefinition, spec: dict[str, Any]) -> None:
    assert list(widgets.problems(widget(**spec))) == []


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "spec: 'size' is a required property"),
        ({"size": "3"}, "spec.size: '3' is not of type 'integer'"),
        ({"size": 3, "sise": 3}, "'sise' was unexpected"),
        ({"size": 3, "tone": "angry"}, "spec.tone: 'angry' is not one of"),
        ({"size": 3, "share": 1.5}, "spec.share: 1.5 is not of type"),
        ({"size": 3, "share": "lots"}, "spec.share: 'lots' does not match"),
        ({"size": 3, "labels": {"any": 1}}, "spec.labels.any: 1 is not of type 'string'"),
        ({"size": 3, "parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts: two entries have name=a"),
        ({"size": 3, "parts": [{"name": "a", "heft": 1}]}, "'heft' was unexpected"),
        ({"size": 3, "most": 2}, "spec: size must not exceed most"),
        ({"size": 3, "parts": [{"name": "a", "weight": 0}]}, "spec.parts.0: weight must be positive"),
    ],
)
def test_a_broken_object_is_refused_with_its_place(
    widgets: CustomResourceDefinition, spec: dict[str, Any], complaint: str
) -> None:
    assert any(complaint in problem for problem in widgets.problems(widget(**spec)))


def test_a_rule_sees_defaults_as_the_server_does(widgets: CustomResourceDefinition) -> None:
    assert list(widgets.problems(widget(size=11))) == ["spec: size must not exceed most"]


def test_checking_leaves_the_object_as_it_was(widgets: CustomResourceDefinition) -> None:
    document = widget(size=3, parts=[{"name": "a"}])
    assert list(widgets.problems(document)) == []
    assert document == widget(size=3, parts=[{"name": "a"}])


@pytest.mark.parametrize("version", ["example.com/v1alpha1", "example.com/v2", "example.org/v1", "v1"])
def test_a_version_that_is_not_served_is_refused(widgets: CustomResourceDefinition, version: str) -> None:
    (problem,) = widgets.problems(widget(version, size=3))
    assert problem == f"apiVersion: {version} is not served; there are: v1"


def test_the_definition_of_another_kind_is_no_use(widgets: CustomResourceDefinition) -> None:
    assert list(widgets.problems({**widget(size=3), "kind": "Gadget"})) == [
        "kind: the definition given is that of Widget, not of Gadget"
    ]


def test_defaults_reach_into_lists() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    document = widget(size=3, parts=[{"name": "a"}])
    fill_in_defaults(schema, document)
    assert document["spec"] == {"size": 3, "most": 10, "parts": [{"name": "a", "weight": 1}]}


def test_a_rule_that_cannot_run_is_a_problem_and_not_a_pass() -> None:
    definition = yaml.safe_load(CRD.read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = [{"rule": "self.missing > 1"}]
    (problem,) = CustomResourceDefinition(definition).problems(widget(size=3))
    assert "'self.missing > 1' could not be run" in problem
