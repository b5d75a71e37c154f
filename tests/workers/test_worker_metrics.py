"""The figures: each has a reason to move, and no job and no worker is a label."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from ray.util import metrics

from fastflow_ray.storage.publication import Audit, Evaluations
from workers.ending import Ending, Fate
from workers.metrics import RayMeter

WORK = Evaluations(planned=18, added=2, made=20, skipped=30, nfe=40, baseline_nfe=100)
AUDIT = Audit(psnr_db=38.5, ssim=0.9, full_nfe=100, full_sample_s=20.0, nfe=130)
PHASES = {"sample": 8.0, "upload": 0.5}


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], float]:
    """What Ray was told: sums by name and labels."""
    told: dict[tuple[str, ...], float] = defaultdict(float)

    def record(metric: metrics.Metric, value: float, tags: dict[str, str] | None = None) -> None:
        assert set(tags or {}) == set(metric._tag_keys)
        told[metric.info["name"], *(tags or {}).values()] += value

    monkeypatch.setattr(metrics.Metric, "_record", record)
    return told


def test_a_day_moves_every_figure(sums: dict[tuple[str, ...], float]) -> None:
    meter = RayMeter()
    meter.loaded("small", 30.0)
    meter.was_idle("small", 2.0)
    meter.began("small", waited_s=4.0)
    made = Ending(Fate.SUCCEEDED, duration_s=9.0, phase_s=PHASES, evaluations=WORK, published_bytes=12_345)
    meter.ended("small", replace(made, audit=AUDIT, asked_db=40.0))
    meter.ended("small", Ending(Fate.LOST, "worker_lost", duration_s=1.0, fenced=True))
    meter.ended("small", Ending(Fate.RETRIED, "storage", duration_s=1.0))
    meter.ended("small", Ending(Fate.CANCELLED, "cancelled", duration_s=1.0, cancel_s=0.4))
    meter.was_busy("small", 11.0)
    meter.waited("small", 1.5)
    meter.switched("small")
    assert sums == {
        ("fastflow_job_phase_seconds", "small", "load"): 30.0,
        ("fastflow_gpu_idle_seconds", "small"): 2.0,
        ("fastflow_jobs_started", "small"): 1,
        ("fastflow_job_queue_sum_seconds", "small"): 4.0,
        ("fastflow_job_queue_seconds", "small"): 4.0,
        ("fastflow_jobs_finished", "small", "succeeded", ""): 1,
        ("fastflow_jobs_finished", "small", "lost", "worker_lost"): 1,
        ("fastflow_jobs_finished", "small", "retried", "storage"): 1,
        ("fastflow_job_phase_seconds", "small", "sample"): 8.0,
        ("fastflow_job_phase_seconds", "small", "upload"): 0.5,
        ("fastflow_job_duration_sum_seconds", "small"): 9.0,
        ("fastflow_job_duration_seconds", "small"): 9.0,
        ("fastflow_nfe", "small"): 40,
        ("fastflow_baseline_nfe", "small"): 100,
        ("fastflow_steps", "small"): 50,
        ("fastflow_skipped_steps", "small"): 30,
        ("fastflow_added_steps", "small"): 2,
        ("fastflow_audits", "small"): 1,
        ("fastflow_audit_nfe", "small"): 130,
        ("fastflow_audit_psnr_db", "small"): 38.5,
        ("fastflow_promises_audited", "small"): 1,
        ("fastflow_promises_broken", "small"): 1,
        ("fastflow_lease_lost", "small"): 1,
        ("fastflow_fenced_results", "small"): 1,
        ("fastflow_upload_bytes", "small"): 12_345,
        ("fastflow_upload_errors", "small"): 1,
        ("fastflow_gpu_busy_seconds", "small"): 11.0,
        ("fastflow_gpu_waiting_seconds", "small"): 1.5,
        ("fastflow_model_switches", "small"): 1,
        ("fastflow_jobs_finished", "small", "cancelled", "cancelled"): 1,
        ("fastflow_cancel_latency_sum_seconds", "small"): 0.4,
        ("fastflow_cancel_latency_seconds", "small"): 0.4,
    }
    figures = [figure for figure in vars(meter).values() if isinstance(figure, metrics.Metric)]
    assert {figure.info["name"] for figure in figures} == {name for name, *_ in sums}


@pytest.mark.parametrize(("psnr_db", "asked_db", "promises"), [(40.0, 40.0, 1), (None, 99.0, 1), (12.0, None, 0)])
def test_a_promise_is_kept_by_what_is_as_good_as_asked_or_equal(
    sums: dict[tuple[str, ...], float], psnr_db: float | None, asked_db: float | None, promises: int
) -> None:
    audit = AUDIT.model_copy(update={"psnr_db": psnr_db})
    RayMeter().ended("small", Ending(Fate.SUCCEEDED, audit=audit, asked_db=asked_db))
    assert sums["fastflow_promises_audited", "small"] == promises
    assert ("fastflow_promises_broken", "small") not in sums


def test_nothing_is_no_figure(sums: dict[tuple[str, ...], float]) -> None:
    RayMeter().was_idle("small", 0.0)
    assert not sums


def test_the_figures_of_two_models_are_kept_apart(sums: dict[tuple[str, ...], float]) -> None:
    meter = RayMeter()
    for model, busy_s in (("small", 1.0), ("large", 30.0), ("small", 2.0)):
        meter.was_busy(model, busy_s)
    assert sums == {("fastflow_gpu_busy_seconds", "small"): 3.0, ("fastflow_gpu_busy_seconds", "large"): 30.0}
