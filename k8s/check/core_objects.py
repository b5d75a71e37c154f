"""Objects of Kubernetes' own kinds against its published schemas, strictly, by the newest version at hand."""

from __future__ import annotations

from collections.abc import Iterator

import kubernetes_validate

from k8s.check.manifests import Document

VERSION: str = kubernetes_validate.latest_version()


def problems(document: Document) -> Iterator[str]:
    """Why an API server of that version would refuse the object: its first reason, or nothing."""
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.absolute_path)) or '(the object)'}: {error.message[:200]}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"apiVersion: {error.message}"
