"""Reads the base once. Alerts are tried where promtool is installed; `python -m k8s.check` says so where it is not."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

collect_ignore = [] if shutil.which("promtool") else ["test_alerts_fire.py"]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def base_as_written() -> dict[str, dict[str, Any]]:
    from k8s.check.manifests import as_written, name_of

    return {name_of(document): document for document in as_written(REPOSITORY / "k8s" / "base")}


@pytest.fixture
def manifests(base_as_written: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The base as it is written, by kind and name; yours to break."""
    return copy.deepcopy(base_as_written)
