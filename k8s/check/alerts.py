"""What a PrometheusRule says to whoever it wakes: by figures that there are, how urgent, and what to do first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s.check import promql
from k8s.check.manifests import Document

SEVERITIES = ("page", "ticket")
KIND = "PrometheusRule"


def problems(document: Document) -> Iterator[str]:
    """Each alert that could not fire, or would tell nobody what to do."""
    alerts = [rule for group in document["spec"]["groups"] for rule in group["rules"]]
    names = [rule.get("alert", "a rule without a name") for rule in alerts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two alerts are named {name}"
    for name, rule in zip(names, alerts, strict=True):
        yield from (f"{name}: {message}" for message in _problems_of(rule))


def _problems_of(rule: dict[str, Any]) -> Iterator[str]:
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"needs a severity, one of {', '.join(SEVERITIES)}"
    if "for" not in rule:
        yield "needs a `for`: one look is no alarm"
    for part in ("summary", "description"):
        if not rule.get("annotations", {}).get(part):
            yield f"needs a {part}"
    if "First" not in rule.get("annotations", {}).get("description", ""):
        yield "its description must tell what to do first"
    yield from promql.problems(rule["expr"])
