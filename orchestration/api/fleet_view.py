"""What the fleet knows of itself: its queues, its models, and what it has learnt about skipping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from fastflow_ray.models.catalogue import model_card
from fastflow_ray.queue.queues import Queues
from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.api.errors import Refusal

KINDS = ("arms", "trajectories")  # of tables, in a statistics document


class FleetView:
    """Read-only routes over the queues and the statistics."""

    def __init__(self, queues: Queues, statistics: Mapping[str, StatisticsStore]) -> None:
        self._queues = queues
        self._statistics = dict(statistics)

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter(prefix="/v1", tags=["fleet"])
        router.add_api_route("/models", self.models, methods=["GET"])
        router.add_api_route("/models/{model}", self.model, methods=["GET"])
        router.add_api_route("/fleet", self.fleet, methods=["GET"])
        router.add_api_route("/policy", self.policy, methods=["GET"])
        return router

    def models(self) -> dict[str, Any]:
        """The models that may be asked for, each with the numbers a video takes where the request leaves them open."""
        return {"object": "list", "data": [_model_view(model) for model in self._queues.models]}

    def model(self, model: str) -> dict[str, Any]:
        """One of them."""
        if model not in self._queues.models:
            message = f"no model named {model[:80]!r}; there are: {', '.join(sorted(self._queues.models))}"
            raise Refusal(404, "model_not_found", message, "model")
        return _model_view(model)

    def fleet(self) -> dict[str, Any]:
        """Per model, how many videos are in which state, how long the oldest has waited, and who serves it."""
        depths, services = self._queues.depths(), self._queues.services()
        return {
            "object": "fleet",
            "queues": {model: asdict(depth) for model, depth in depths.items()},
            "workers": {service.model: [asdict(card) for card in service.workers] for service in services},
        }

    def policy(self) -> dict[str, Any]:
        """What was learnt about skipping, per model and policy key: of arms, pulls and summed errors per step and arm;
        of trajectories, summed inner products of their velocities and how deviations grew.

        The tables are passed on as they are kept, so that this server needs no numpy.
        """
        return {"object": "policy", "models": {model: _tables(store) for model, store in self._statistics.items()}}


def _tables(store: StatisticsStore) -> dict[str, Any]:
    """Kind → policy key → table. What is kept under a key is a statistics document of its own, of that one key."""
    documents = [json.loads(text) for text in store.load().documents.values()]
    return {kind: {k: v for document in documents for k, v in document[kind].items()} for kind in KINDS}


def _model_view(model: str) -> dict[str, Any]:
    card = model_card(model)
    defaults = {
        "size": f"{card.width}x{card.height}",
        "seconds": f"{(card.frames - 1) / card.fps:g}",
        "num_frames": card.frames,
        "fps": card.fps,
        "num_inference_steps": card.steps,
        "guidance_scale": card.guidance,
        "flow_shift": card.shift,
    }
    return {"id": model, "object": "model", "created": 0, "owned_by": "fastflow-ray", "defaults": defaults}
