"""What this house asks of its manifests beyond what an API server asks. One rule, one function, one reason.

A rule takes an object or a pod and yields a sentence for each place where it is broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import Any

from k8s.check.manifests import Document
from k8s.check.pods import is_ray_cluster, pods_of

DRAIN_TIMEOUT = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
DEFAULT_GRACE_S = 30  # Kubernetes' own, where a pod does not say
GPU = "nvidia.com/gpu"
REDIS_OPTIONS = {"--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction"}

_SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|API_KEY|AUTH$")
_PINNED_IMAGE = re.compile(r".+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})")
_REFERENCES_ONLY = re.compile(r"(\$\([A-Z_]+\))*")


def problems(document: Document) -> Iterator[str]:
    """Every rule broken by an object or by the pods it leads to."""
    for rule in OBJECT_RULES:
        yield from rule(document)
    for pod in pods_of(document):
        for rule in POD_RULES:
            yield from (f"{pod['metadata']['name']}: {message}" for message in rule(pod["spec"]))


def images_are_pinned(pod: dict[str, Any]) -> Iterator[str]:
    """A pod started next month runs what a pod started today runs."""
    for container in _containers(pod):
        image = container.get("image", "")
        if not _PINNED_IMAGE.fullmatch(image):
            yield f"container {container['name']} needs an image with a tag or a digest, not {image!r}"


def containers_are_bounded(pod: dict[str, Any]) -> Iterator[str]:
    """The scheduler can only place, and the node only contain, what says how large it is."""
    for container in _containers(pod):
        resources = container.get("resources", {})
        for side in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                if resource not in resources.get(side, {}):
                    yield f"container {container['name']} has no {resource} in its {side}"


def gpu_containers_own_what_they_use(pod: dict[str, Any]) -> Iterator[str]:
    """Requests equal limits: nothing on the node can take memory from a model."""
    for container in _containers(pod):
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if GPU in {**requests, **limits} and requests != limits:
            yield f"container {container['name']} has a GPU, so its requests must equal its limits"


def containers_are_locked_down(pod: dict[str, Any]) -> Iterator[str]:
    """No root, no new privileges, no capabilities, no writable root, the runtime's seccomp profile."""
    of_pod = pod.get("securityContext", {})
    if not of_pod.get("runAsNonRoot") or of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "securityContext needs runAsNonRoot: true and seccompProfile: {type: RuntimeDefault}"
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    for container in _containers(pod):
        if not wanted.items() <= container.get("securityContext", {}).items():
            yield f"container {container['name']} needs a securityContext with {wanted}"


def port_names_are_unique(pod: dict[str, Any]) -> Iterator[str]:
    """A service or a scraper that names a port finds one, and not the first of two."""
    names = [port["name"] for container in _containers(pod) for port in container.get("ports", []) if "name" in port]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two ports are named {name}"


def pods_outlive_their_drain(pod: dict[str, Any]) -> Iterator[str]:
    """A pod killed while Ray still waits for its actors loses the very jobs the drain was to hand back."""
    grace_s = pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
    for container in _containers(pod):
        for variable in container.get("env", []):
            if variable["name"] == DRAIN_TIMEOUT and grace_s <= float(variable["value"]):
                yield f"terminationGracePeriodSeconds is {grace_s}, not above the drain timeout {variable['value']} s"


def redis_keeps_what_it_took(pod: dict[str, Any]) -> Iterator[str]:
    """An acknowledged job survives a kill, and a full memory refuses new jobs instead of forgetting old ones."""
    for container in _containers(pod):
        if "valkey-server" not in container.get("command", []):
            continue
        args = container.get("args", [])
        options = dict(pairwise(args))
        for option, value in REDIS_OPTIONS.items():
            if options.get(option) != value:
                yield f"container {container['name']} needs {option} {value}"


def no_secret_is_written_down(document: Document) -> Iterator[str]:
    """Secrets are referred to by name; who deploys creates them."""
    if document.get("kind") == "Secret":
        yield "a Secret must not be among the manifests; README.md says how to create it"
    for pod in pods_of(document):
        for container in _containers(pod["spec"]):
            for variable in container.get("env", []):
                literal = _REFERENCES_ONLY.sub("", str(variable.get("value", "")))
                if _SECRET_NAME.search(variable["name"]) and literal:
                    yield f"{variable['name']} of container {container['name']} must come from a secretKeyRef"


def disruption_budgets_count(document: Document) -> Iterator[str]:
    """Percentages need an owner with a scale, which the pods of a RayCluster do not have."""
    if document.get("kind") == "PodDisruptionBudget" and not isinstance(document["spec"].get("minAvailable"), int):
        yield "spec.minAvailable must be an integer"


def servers_outlast_their_place_in_a_service(document: Document) -> Iterator[str]:
    """A pod is told to stop before every node has heard that it is to get no more requests, and would refuse them."""
    if document.get("kind") != "Deployment":
        return
    for container in _containers(document["spec"]["template"]["spec"]):
        if "httpGet" in container.get("readinessProbe", {}) and "preStop" not in container.get("lifecycle", {}):
            yield f"container {container['name']} serves requests and needs a lifecycle.preStop that waits"


def ray_clusters_drain_and_authenticate(document: Document) -> Iterator[str]:
    """Each Ray pod says how long it drains, and nobody enters without the token."""
    if not is_ray_cluster(document):
        return
    if document["spec"].get("authOptions", {}).get("mode") != "token":
        yield "spec.authOptions.mode must be token"
    for pod in pods_of(document):
        named = {variable["name"] for variable in pod["spec"]["containers"][0].get("env", [])}
        if DRAIN_TIMEOUT not in named:
            yield f"{pod['metadata']['name']}: the Ray container must set {DRAIN_TIMEOUT}"


def ray_heads_stay_off_spot_nodes(document: Document) -> Iterator[str]:
    """The head can be lost and comes back, yet not as often as spot nodes go."""
    if not is_ray_cluster(document):
        return
    head = document["spec"]["headGroupSpec"]["template"]["spec"]
    if any("spot" in str(toleration).lower() for toleration in head.get("tolerations", [])):
        yield "the head must not tolerate spot nodes"
    if "spot" not in str(head.get("affinity", {}).get("nodeAffinity", {})).lower():
        yield "the head needs a node affinity that keeps it off spot nodes"


def _containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return chain(pod.get("initContainers", []), pod["containers"])


Rule = Callable[[dict[str, Any]], Iterator[str]]
POD_RULES: tuple[Rule, ...] = (
    images_are_pinned,
    containers_are_bounded,
    gpu_containers_own_what_they_use,
    containers_are_locked_down,
    port_names_are_unique,
    pods_outlive_their_drain,
    redis_keeps_what_it_took,
)
OBJECT_RULES: tuple[Rule, ...] = (
    no_secret_is_written_down,
    disruption_budgets_count,
    servers_outlast_their_place_in_a_service,
    ray_clusters_drain_and_authenticate,
    ray_heads_stay_off_spot_nodes,
)
