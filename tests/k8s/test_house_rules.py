"""Each rule of the house refuses the manifest that breaks it; our own manifests break none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastflow_ray.environment import MODELS
from fastflow_ray.models.catalogue import catalogue
from k8s.check import rules
from k8s.check.manifests import Document
from k8s.check.pods import is_ray_cluster, pods_of

OVERLAY = Path(__file__).parents[2] / "k8s/overlays/shapes/kustomization.yaml"


def test_the_base_breaks_no_rule(manifests: dict[str, Document]) -> None:
    broken = [f"{name}: {problem}" for name, document in manifests.items() for problem in rules.problems(document)]
    assert broken == []


def test_every_pod_is_seen(manifests: dict[str, Document]) -> None:
    pods = [pod["metadata"]["name"] for document in manifests.values() for pod in pods_of(document)]
    assert sorted(pods) == [
        "Deployment/fastflow-api",
        "Deployment/fleet-starter",
        "RayCluster/fastflow/gpu",
        "RayCluster/fastflow/head",
        "StatefulSet/redis",
    ]


def test_the_head_pod_carries_the_autoscaler_as_the_operator_adds_it(manifests: dict[str, Document]) -> None:
    head = pods_of(manifests["RayCluster/fastflow"])[0]["spec"]
    ray, autoscaler = head["containers"]
    assert autoscaler["name"] == "autoscaler"
    assert autoscaler["image"] == ray["image"]
    assert autoscaler["resources"]["limits"]["memory"] == "1Gi"


# What breaks a manifest, and a word of the complaint.
Breakage = Callable[[dict[str, Any]], object]


def first_container(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["containers"][0]
    return container


POD_BREAKAGES: list[tuple[str, Breakage, str]] = [
    ("no image", lambda pod: first_container(pod).pop("image"), "needs an image"),
    ("no tag", lambda pod: first_container(pod).update(image="host:5000/fastflow-ray"), "needs an image"),
    ("latest", lambda pod: first_container(pod).update(image="fastflow-ray:latest"), "needs an image"),
    ("no resources", lambda pod: first_container(pod).pop("resources"), "no memory in its limits"),
    ("no limit", lambda pod: first_container(pod)["resources"]["limits"].pop("cpu"), "no cpu in its limits"),
    ("root", lambda pod: pod["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    ("no seccomp", lambda pod: pod["securityContext"].pop("seccompProfile"), "seccompProfile"),
    (
        "capabilities",
        lambda pod: first_container(pod)["securityContext"].pop("capabilities"),
        "needs a securityContext",
    ),
    (
        "two ports of one name",
        lambda pod: first_container(pod).update(ports=[{"name": "http", "containerPort": n} for n in (80, 81)]),
        "two ports are named http",
    ),
]


@pytest.mark.parametrize(("breakage", "complaint"), [pytest.param(b, c, id=name) for name, b, c in POD_BREAKAGES])
@pytest.mark.parametrize("name", ["Deployment/fastflow-api", "Deployment/fleet-starter", "StatefulSet/redis"])
def test_a_broken_pod_is_refused(manifests: dict[str, Document], name: str, breakage: Breakage, complaint: str) -> None:
    broken = manifests[name]
    breakage(broken["spec"]["template"]["spec"])
    assert any(complaint in problem for problem in rules.problems(broken))


def head(cluster: Document) -> dict[str, Any]:
    pod: dict[str, Any] = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    return pod


def worker(cluster: Document) -> dict[str, Any]:
    pod: dict[str, Any] = cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]
    return pod


def without(container: dict[str, Any], variable: str) -> None:
    container["env"] = [entry for entry in container["env"] if entry["name"] != variable]


SPOT = {"key": "cloud.google.com/gke-spot", "operator": "Exists"}
CLUSTER_BREAKAGES: list[tuple[str, Breakage, str]] = [
    (
        "GPU without a request",
        lambda c: first_container(worker(c)).update(
            resources={"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1Gi", rules.GPU: 1}}
        ),
        "requests must equal its limits",
    ),
    ("grace as long as the drain", lambda c: worker(c).update(terminationGracePeriodSeconds=300), "drain timeout 300"),
    ("default grace", lambda c: worker(c).pop("terminationGracePeriodSeconds"), "is 30, not above"),
    ("no drain", lambda c: without(first_container(worker(c)), rules.DRAIN_TIMEOUT), "must set RAY_GRACEFUL"),
    ("head tolerates spot", lambda c: head(c).update(tolerations=[SPOT]), "must not tolerate spot"),
    ("head anywhere", lambda c: head(c).pop("affinity"), "keeps it off spot nodes"),
    ("no token", lambda c: c["spec"].pop("authOptions"), "must be token"),
    (
        "autoscaler without limits",
        lambda c: c["spec"]["autoscalerOptions"].pop("resources"),
        "container autoscaler has no memory",
    ),
]


@pytest.mark.parametrize(("breakage", "complaint"), [pytest.param(b, c, id=name) for name, b, c in CLUSTER_BREAKAGES])
def test_a_broken_ray_cluster_is_refused(manifests: dict[str, Document], breakage: Breakage, complaint: str) -> None:
    broken = manifests["RayCluster/fastflow"]
    breakage(broken)
    assert any(complaint in problem for problem in rules.problems(broken))


@pytest.mark.parametrize(
    ("option", "value"),
    [("--appendonly", "no"), ("--appendfsync", "everysec"), ("--maxmemory-policy", "allkeys-lru")],
)
def test_a_redis_that_could_lose_jobs_is_refused(manifests: dict[str, Document], option: str, value: str) -> None:
    broken = manifests["StatefulSet/redis"]
    args = first_container(broken["spec"]["template"]["spec"])["args"]
    args[args.index(option) + 1] = value
    assert any(f"needs {option}" in problem for problem in rules.problems(broken))


def test_a_redis_takes_the_connections_of_a_thousand_workers_of_every_model(manifests: dict[str, Document]) -> None:
    args = first_container(manifests["StatefulSet/redis"]["spec"]["template"]["spec"])["args"]
    assert int(args[args.index("--maxclients") + 1]) >= 1000 * len(catalogue()) * 4


@pytest.mark.parametrize("budget", [{"minAvailable": "50%"}, {"maxUnavailable": 1}])
def test_a_disruption_budget_must_count_pods(budget: dict[str, Any]) -> None:
    document = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": budget}
    assert list(rules.problems(document)) == ["spec.minAvailable must be an integer"]


def test_a_server_that_listens_no_more_while_requests_still_come_is_refused(manifests: dict[str, Document]) -> None:
    broken = manifests["Deployment/fastflow-api"]
    first_container(broken["spec"]["template"]["spec"]).pop("lifecycle")
    assert any("container api serves requests and needs a lifecycle.preStop" in one for one in rules.problems(broken))


def test_a_secret_among_the_manifests_is_refused() -> None:
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    assert any("Secret must not be among" in problem for problem in rules.problems(document))


def test_a_secret_in_an_environment_is_refused_and_a_reference_is_not(manifests: dict[str, Document]) -> None:
    document = manifests["Deployment/fastflow-api"]
    environment = first_container(document["spec"]["template"]["spec"])["env"]
    environment.append({"name": "COPIED_PASSWORD", "value": "$(JOBS_REDIS_PASSWORD)"})
    assert list(rules.problems(document)) == []
    environment.append({"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2"})
    (problem,) = rules.problems(document)
    assert "AWS_SECRET_ACCESS_KEY of container api must come from a secretKeyRef" in problem


def test_workers_scale_from_nothing_and_only_workers_use_spot_nodes(manifests: dict[str, Document]) -> None:
    (cluster,) = [document for document in manifests.values() if is_ray_cluster(document)]
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["replicas"]) == (0, 0)
    assert cluster["spec"]["autoscalerOptions"]["version"] == "v2"
    assert "spot" in str(worker(cluster)["tolerations"])
    assert cluster["spec"]["upgradeStrategy"] == {"type": "None"}


def test_workers_of_two_fleets_on_one_queue_have_names_of_their_own(manifests: dict[str, Document]) -> None:
    args = first_container(manifests["Deployment/fleet-starter"]["spec"]["template"]["spec"])["args"]
    assert args[args.index("--place") + 1] == "$(RAY_CLUSTER)"  # which `nameSuffix` changes


def test_only_who_reads_or_writes_the_bucket_holds_its_keys(manifests: dict[str, Document]) -> None:
    pods = [pod for document in manifests.values() for pod in pods_of(document)]
    holders = {pod["metadata"]["name"] for pod in pods if "fastflow-s3" in str(first_container(pod["spec"]))}
    assert holders == {"Deployment/fastflow-api", "RayCluster/fastflow/gpu"}


def test_the_operators_models_may_be_missing_and_are_read_where_the_overlay_says(
    manifests: dict[str, Document],
) -> None:
    (told,) = re.findall(r"literals: \[file=(.*)/models\.toml\]", OVERLAY.read_text())
    pods = {pod["metadata"]["name"]: pod["spec"] for document in manifests.values() for pod in pods_of(document)}
    readers = {name: pod for name, pod in pods.items() if "fastflow-catalogue" in str(pod)}
    assert set(readers) == {"Deployment/fastflow-api", "Deployment/fleet-starter"}
    for pod in readers.values():
        container = first_container(pod)
        (variable,) = [entry["valueFrom"] for entry in container["env"] if entry["name"] == MODELS]
        assert variable["configMapKeyRef"] == {"name": "fastflow-catalogue", "key": "file", "optional": True}
        (volume,) = [one for one in pod["volumes"] if one["name"] == "catalogue"]
        assert volume["configMap"] == {"name": "fastflow-catalogue", "optional": True}
        assert {"name": "catalogue", "mountPath": told, "readOnly": True} in container["volumeMounts"]


def test_jobs_and_the_control_store_of_ray_never_share_a_server(manifests: dict[str, Document]) -> None:
    cluster = manifests["RayCluster/fastflow"]
    (jobs_url,) = [e["value"] for e in first_container(head(cluster))["env"] if e["name"] == "FASTFLOW_REDIS_URL"]
    assert "@jobs-redis:" in jobs_url
    assert cluster["spec"]["gcsFaultToleranceOptions"]["redisAddress"] == "gcs-redis:6379"
