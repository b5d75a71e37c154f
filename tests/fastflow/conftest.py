"""Pipelines for these tests; each test has its own, as tests change schedulers and hooks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from diffusers import WanPipeline
from small_wan import one_expert, shapes_components, two_experts


@pytest.fixture(scope="session")
def components() -> dict[str, Any]:
    return shapes_components()


@pytest.fixture
def pipe(components: dict[str, Any]) -> WanPipeline:
    return one_expert(copy.deepcopy(components))


@pytest.fixture
def pipe_of_two_experts(components: dict[str, Any]) -> WanPipeline:
    return two_experts(copy.deepcopy(components))
