"""Where documents come from: rendered by kubectl, or read from files as they are written. Judges nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]  # one Kubernetes object


class RenderFailed(Exception):
    """kubectl refused a kustomization; the message is its own."""


def name_of(document: Document) -> str:
    """How people speak of an object: RayCluster/fastflow."""
    return f"{document.get('kind', '?')}/{document.get('metadata', {}).get('name', '?')}"


def render(kubectl: str, folder: Path) -> list[Document]:
    """The objects of a kustomization as `kubectl apply -k` would send them; raises RenderFailed."""
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RenderFailed(done.stderr.strip())
    return _objects(done.stdout)


def as_written(folder: Path) -> list[Document]:
    """The objects in the files below a folder, before kustomize names, labels or patches anything."""
    return [document for path in sorted(folder.rglob("*.yaml")) for document in _objects(path.read_text())]


def _objects(text: str) -> list[Document]:
    return list(_only_objects(yaml.safe_load_all(text)))


def _only_objects(loaded: Iterator[Any]) -> Iterator[Document]:
    """Leaves out empty documents, kustomizations and their configuration, and JSON patches."""
    for document in loaded:
        if isinstance(document, dict) and "kind" in document and document["kind"] != "Kustomization":
            yield document
