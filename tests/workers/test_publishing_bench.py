"""The benchmark of the publishing thread: it sees every gap, and what the gap contains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fastflow_ray.models.engine import Engine
from fastflow_ray.models.loading import load_engine
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.embedded import EmbeddedValkey
from workers.bench.gap import Gap, measure, summary
from workers.publishing_thread import PublishingExecutor, PublishingThread, SameThread


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(scope="module")
def shapes() -> Engine:
    return load_engine("shapes", device="cpu")


@pytest.mark.parametrize("executor", [PublishingThread, SameThread])
def test_every_gap_is_measured_and_without_the_thread_it_contains_the_encoding(
    shapes: Engine, redis_url: str, tmp_path: Path, executor: type[PublishingExecutor]
) -> None:
    gaps = measure(shapes, executor(), 3, 4, redis_url, tmp_path)
    assert len(gaps) == 2
    assert all(min(gap.decode_s, gap.idle_s, gap.text_encode_s) > 0 for gap in gaps)
    with closing(open_queue(redis_url, "shapes")) as queue:
        made = queue.list(3, newest_first=False)
    encode_s = [json.loads(path.read_text())["phase_s"]["encode"] for path in tmp_path.glob("jobs/*/result.json")]
    assert len(encode_s) == 3
    assert len(made) == 3
    if executor is SameThread:
        assert min(gap.idle_s for gap in gaps) > min(encode_s)


def test_the_summary_is_of_medians_and_tells_the_longest() -> None:
    gaps = [Gap(1.0, 0.01, 0.1), Gap(2.0, 0.03, 0.2), Gap(3.0, 0.09, 0.3)]
    figures = summary(gaps, job_s=10.0)
    assert (figures["gaps"], figures["idle_s"], figures["longest_idle_s"]) == (3, 0.03, 0.09)
    assert figures["share_of_job"] == pytest.approx(0.003)
    assert figures["between_steps_s"] == pytest.approx(2.23)
