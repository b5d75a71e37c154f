"""Seeds, stages, and the table at the end.

Every test runs with a seed that it prints: 1, or what FAULT_SEED says. Its histories stay in its tmp_path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FOUND
from fault_report import FIGURES, rows_of, save, table_of
from stage import Stage

from fastflow_ray.queue.embedded import EmbeddedValkey

collect_ignore = [] if FOUND else ["test_server_clock.py"]  # `make faults` insists on it


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Of everything random in the test; a test that is parametrised by seeds adds its own."""
    seed = int(os.environ.get("FAULT_SEED", "1"))
    print(f"FAULT_SEED={seed} pytest '{request.node.nodeid}'")
    return seed


@pytest.fixture
def figures(request: pytest.FixtureRequest, seed: int) -> dict[str, Any]:
    """What the test tells the report."""
    figures: dict[str, Any] = {"seed": seed}
    request.node.user_properties.append((FIGURES, figures))
    return figures


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server to kill; nothing it acknowledged is lost with it."""
    with EmbeddedValkey(tmp_path / "valkey", fsync="always") as server:
        yield server


@pytest.fixture
def make_stage(tmp_path: Path, seed: int, figures: dict[str, Any]) -> Iterator[Callable[..., Stage]]:
    """Stages on a server that the test brings."""
    with ExitStack() as opened:

        def make(redis_url: str, **more: Any) -> Stage:
            return opened.enter_context(closing(Stage(tmp_path, redis_url, seed, figures, **more)))

        yield make


@pytest.fixture
def stage(make_stage: Callable[..., Stage], own_server: EmbeddedValkey) -> Stage:
    """A stage with its server."""
    return make_stage(own_server.url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Figures travel as text, also from the processes of pytest-xdist."""
    report = yield
    report.user_properties = [
        (name, json.dumps(value, default=str)) if name == FIGURES else (name, value)
        for name, value in report.user_properties
    ]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of all fault tests that ran, printed and saved."""
    if rows := rows_of(terminalreporter.stats):
        terminalreporter.section("faults")
        terminalreporter.write_line(table_of(rows))
        terminalreporter.write_line(f"saved as {save(rows, config.rootpath / 'out' / 'faults')}")
