"""What this server counts of itself, for `/metrics`. The fleet's own figures are exported by the supervisor.

A label holds a route's template, never a path: an id in a label would make a new series per video. Nor does it hold a
method that a client made up.
"""

from __future__ import annotations

import time
from http import HTTPMethod

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastflow_ray import __version__


class ApiMetrics:
    """Counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.build = Gauge(
            "fastflow_build_info", "The version at work; always 1", ("version",), registry=self._registry
        )
        self.build.labels(__version__).set(1)
        self.submitted = Counter(
            "fastflow_jobs_submitted", "Videos asked for", ("model", "outcome"), registry=self._registry
        )
        self.answered = Counter(
            "fastflow_http_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self.latency_s = Histogram(
            "fastflow_http_first_byte_seconds", "From request to first byte", ("route",), registry=self._registry
        )

    def exposition(self) -> Response:
        """All of it in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class CountedRequests:
    """A layer around the application that counts each answer when it begins; a stream may go on for hours."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started_s, answered = time.monotonic(), scope["type"] != "http"

        def count(status: int) -> None:
            nonlocal answered
            answered = True
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in HTTPMethod.__members__ else "other"
            self._metrics.answered.labels(method, route, status).inc()
            self._metrics.latency_s.labels(route).observe(time.monotonic() - started_s)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:  # that nobody expected, to which a layer further out answers
            if not answered:
                count(500)
            raise
