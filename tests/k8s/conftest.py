"""Reads the base once."""

import copy
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def base_as_written() -> dict[str, dict[str, Any]]:
    from k8s.check.manifests import as_written, name_of

    return {name_of(document): document for document in as_written(REPOSITORY / "k8s" / "base")}


@pytest.fixture
def manifests(base_as_written: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The base as it is written, by kind and name; yours to break."""
    return copy.deepcopy(base_as_written)
