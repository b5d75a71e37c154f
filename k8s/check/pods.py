"""The pods that objects lead to, so that whatever checks pods sees all of them."""

from __future__ import annotations

import copy
from typing import Any

from k8s.check.manifests import Document, name_of


def is_ray_cluster(document: Document) -> bool:
    """Whether the object is for the Ray operator."""
    return bool(document.get("kind") == "RayCluster" and document["apiVersion"].startswith("ray.io/"))


def pods_of(document: Document) -> list[Document]:
    """The pods an object of any kind leads to, one per template; none for services and the like."""
    if is_ray_cluster(document):
        return _ray_pods(document)
    if document.get("kind") == "Pod":
        return [document]
    template = document.get("spec", {}).get("template")
    return [_pod(name_of(document), template)] if isinstance(template, dict) else []


def _ray_pods(cluster: Document) -> list[Document]:
    """One pod per group, as the operator builds it: with the autoscaler in the head."""
    name, spec = name_of(cluster), cluster["spec"]
    head = _pod(f"{name}/head", spec["headGroupSpec"]["template"])
    if spec.get("enableInTreeAutoscaling"):
        head["spec"]["containers"].append(_autoscaler(head, spec.get("autoscalerOptions", {})))
    workers = [_pod(f"{name}/{group['groupName']}", group["template"]) for group in spec.get("workerGroupSpecs", [])]
    return [head, *workers]


def _pod(name: str, template: dict[str, Any]) -> Document:
    metadata = {**template.get("metadata", {}), "name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template["spec"])}


def _autoscaler(head: Document, options: dict[str, Any]) -> dict[str, Any]:
    """The container the operator adds: Ray's image unless another is given, and what the options say of a container."""
    of_a_container = ("image", "env", "envFrom", "resources", "securityContext", "volumeMounts")
    image = {key: value for key, value in head["spec"]["containers"][0].items() if key == "image"}
    return {"name": "autoscaler", **image, **{key: options[key] for key in of_a_container if key in options}}
