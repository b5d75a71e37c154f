"""`python -m k8s.check`: what it accepts, what it refuses, what it says it could not check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.check.__main__ import document_problems, main
from k8s.check.custom_resource import CustomResourceDefinition
from k8s.check.manifests import Document, RenderFailed, render

K8S = Path(__file__).parents[2] / "k8s"
OVERLAYS = sorted((K8S / "overlays").iterdir())


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty PATH; programs put into the folder are all there are."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_kubectl_and_crd_the_base_passes_and_the_gaps_are_named(
    no_programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "k8s/base (as written)" in said
    assert "not checked: RayCluster against its schema" in said
    assert "not checked: what kustomize makes" in said
    assert said.endswith("nothing wrong\n")


def test_a_rendering_kubectl_refuses_fails_the_check(no_programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program(no_programs, "kubectl", "echo 'no such file: api.yaml' >&2; exit 1")
    assert main([]) == 1
    said = capsys.readouterr().out
    assert "✗ k8s/base: no such file: api.yaml" in said
    assert f"{2 + len(OVERLAYS)} problems" in said


def test_a_broken_object_in_a_rendering_fails_the_check(no_programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program(no_programs, "kubectl", "echo '{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {port: 80}}'")
    assert main([]) == 1
    assert "✗ k8s/base: Service/s: spec: Additional properties are not allowed" in capsys.readouterr().out


def test_rendering_gives_the_objects_or_kubectls_own_words(tmp_path: Path) -> None:
    good = program(tmp_path, "good", 'echo "{kind: A}"; echo ---; echo "{kind: B, metadata: {name: $2}}"')
    assert render(good, Path("x")) == [{"kind": "A"}, {"kind": "B", "metadata": {"name": "x"}}]
    bad = program(tmp_path, "bad", "echo no kustomization here >&2; exit 1")
    with pytest.raises(RenderFailed, match="no kustomization here"):
        render(bad, Path("x"))


def test_a_crd_that_is_not_there_is_an_error_of_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--crd", str(tmp_path / "missing.yaml")])
    assert stopped.value.code == 2
    assert "missing.yaml; KubeRay v1.7.0 carries it" in capsys.readouterr().err


def test_every_object_of_the_base_is_valid(manifests: dict[str, Document]) -> None:
    problems = [f"{n}: {p}" for n, document in manifests.items() for p in document_problems(document, None)]
    assert problems == []


def test_a_field_core_kubernetes_does_not_know_is_refused(manifests: dict[str, Document]) -> None:
    broken = manifests["Deployment/fastflow-api"]
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert any("livenesProbe" in problem for problem in document_problems(broken, None))


def test_a_wrong_type_is_refused(manifests: dict[str, Document]) -> None:
    broken = manifests["Deployment/fastflow-api"]
    broken["spec"]["replicas"] = "two"
    assert any(problem.startswith("spec.replicas: 'two'") for problem in document_problems(broken, None))


def test_a_pod_template_inside_a_ray_cluster_is_checked_too(manifests: dict[str, Document]) -> None:
    broken = manifests["RayCluster/fastflow"]
    broken["spec"]["workerGroupSpecs"][0]["template"]["spec"]["tolerations"] = [{"kee": "nvidia.com/gpu"}]
    problems = list(document_problems(broken, None))
    assert any("RayCluster/fastflow/gpu" in problem and "kee" in problem for problem in problems)


@pytest.mark.parametrize("group", [{"minReplicas": 9}, {"minReplicas": None}, {"rayStartParams": {"num-cpus": "few"}}])
def test_a_ray_cluster_its_autoscaler_cannot_work_with_is_refused(
    manifests: dict[str, Document], group: dict[str, Any]
) -> None:
    broken = manifests["RayCluster/fastflow"]
    broken["spec"]["workerGroupSpecs"][0].update(group)
    assert any("autoscaler cannot read it" in problem for problem in document_problems(broken, None))


def test_a_ray_cluster_is_checked_against_the_definition_given(manifests: dict[str, Document]) -> None:
    schema = {
        "type": "object",
        "properties": {"apiVersion": {}, "kind": {}, "metadata": {}, "spec": {"properties": {}}},
    }
    version = {"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "ray.io", "names": {"kind": "RayCluster"}, "versions": [version]}
    problems = list(document_problems(manifests["RayCluster/fastflow"], CustomResourceDefinition({"spec": spec})))
    assert any("'rayVersion'" in problem for problem in problems)


def kustomizations() -> list[Path]:
    return sorted(K8S.rglob("kustomization.yaml"))


@pytest.mark.parametrize("path", kustomizations(), ids=lambda path: str(path.parent.relative_to(K8S)))
def test_a_kustomization_names_only_files_that_exist(path: Path) -> None:
    kustomization = yaml.safe_load(path.read_text())
    named = [*kustomization["resources"], *kustomization.get("configurations", [])]
    generated = [file for one in kustomization.get("configMapGenerator", []) for file in one["files"]]
    named += [file.partition("=")[2] for file in generated]
    named += [patch["path"] for patch in kustomization.get("patches", []) if "path" in patch]
    missing = [name for name in named if not (path.parent / name).exists()]
    assert missing == []


def test_the_overlays_never_use_the_unpinned_tag() -> None:
    for path in OVERLAYS:
        kustomization = yaml.safe_load((path / "kustomization.yaml").read_text())
        for image in kustomization["images"]:
            assert image["newTag"] != "latest"
