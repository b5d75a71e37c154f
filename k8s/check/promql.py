"""What a PromQL expression asks for, and whether this code exports it."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser

from k8s.check.figures import labels_of_series

PROMETHEUS_OWN = {"ALERTS": {"alertname", "alertstate", "severity"}}
OF_EVERY_TARGET = {"job", "instance", "namespace", "pod", "ray_io_cluster"}  # the last by our own PodMonitor


def problems(expression: str) -> Iterator[str]:
    """Why a Prometheus would refuse it, or never find what it names; nothing if it would."""
    try:
        asked = selectors(expression)
    except ValueError as error:
        yield f"is no PromQL: {error}"
        return
    exported = {**labels_of_series(), **PROMETHEUS_OWN}
    for selector in asked:
        name = selector.name or "a selector without a name"
        if name not in exported:
            yield f"asks for {name}, which nothing exports"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in exported[name] | OF_EVERY_TARGET:
                yield f"asks for {name} by {matcher.name}, a label that it has not"


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Every choice of series in it; raises ValueError if it is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def note(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)

    promql_parser.walk(promql_parser.parse(expression), pre_visit=note)
    return found
