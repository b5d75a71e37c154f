"""A Valkey of the suite's own, one Ray for the whole session, and fleets of a model small enough for a test."""

from __future__ import annotations

import itertools
import logging
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_server import boto3_settings

from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.autoscale import Limits
from orchestration.fleet_plan import NAMESPACE, FleetPlan

GPUS = 4
_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One server for all tests; each takes a queue of its own."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server to stop and start."""
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def model() -> str:
    """A queue name nobody else uses; there is no such model."""
    return f"model-{next(_numbers)}"


@pytest.fixture(scope="session")
def metrics_port() -> int:
    """Where this session's Ray exports its metrics."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def ray_cluster(small_checkpoint: Path, metrics_port: int, s3_endpoint: str) -> Iterator[str]:
    """One Ray with four GPUs that are only numbers.

    Its processes find the small model by its folder's name, and the suite's S3 server by their environment, as we do.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in boto3_settings(s3_endpoint).items():
            patch.setenv(name, value)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.chdir(small_checkpoint.parent)
        import ray

        folder = tempfile.mkdtemp(prefix="ff-", dir="/tmp")
        context = ray.init(
            "local",
            namespace=NAMESPACE,
            num_gpus=GPUS,
            num_cpus=GPUS + 1,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
            _metrics_export_port=metrics_port,
            _system_config={"metrics_report_interval_ms": 500},
        )
        yield context.address_info["address"]
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def plan(
    valkey: EmbeddedValkey, small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., FleetPlan]:
    """Plans of fleets whose models, each under a name of its own, are the small checkpoint."""
    folder_url = tmp_path_factory.mktemp("store").as_uri()

    def small_model() -> str:
        name = f"small-{next(_numbers)}"
        (small_checkpoint.parent / name).symlink_to(small_checkpoint)
        return name

    def make(
        floor: int = 0,
        ceiling: int = GPUS,
        patience_s: float = 600.0,
        drain_s: float = Limits.drain_s,
        store_url: str = folder_url,
        models: int = 1,
        **settings: float,
    ) -> FleetPlan:
        names = tuple(small_model() for _ in range(models))
        limits = Limits(floor, ceiling, drain_s, patience_s)
        times = {"lease_s": 6.0, "beat_s": 1.0, "grace_s": 3.0}
        return FleetPlan(names, valkey.url, store_url, limits, **times | settings)  # type: ignore[arg-type]

    return make
