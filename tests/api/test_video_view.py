"""A record as clients read it, state by state."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastflow_ray.jobs.payload import write_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobRecord, Progress
from fastflow_ray.storage import open_store
from orchestration.api.content import Variant, content_answer
from orchestration.api.errors import Refusal
from orchestration.api.video_view import poll_after_ms, video_view

QUEUED = JobRecord(
    job_id="a1",
    state=JobState.QUEUED,
    payload=write_job(VideoJob(prompt="a ship", width=96, height=64, frames=33, fps=8, seed=5)),
    tenant="default",
    attempts=0,
    crashes=0,
    created_s=1000.9,
)
RUNNING = replace(
    QUEUED, state=JobState.RUNNING, progress=Progress("sample", step=25, steps=50, evaluated=10, skipped=15, eta_s=5.0)
)
DEAD = replace(
    RUNNING, state=JobState.DEAD, finished_s=1100.0, expires_s=1400.5, error={"code": "oom", "message": "out of memory"}
)


def test_a_queued_video():
    view = video_view(QUEUED, "shapes")
    assert (view["id"], view["object"], view["model"]) == ("a1", "video", "shapes")
    assert (view["status"], view["progress"], view["created_at"]) == ("queued", 0, 1000)
    assert (view["size"], view["seconds"], view["prompt"]) == ("96x64", "4", "a ship")
    assert view["completed_at"] is view["expires_at"] is view["error"] is None
    assert view["request"]["seed"] == 5


def test_what_the_job_leaves_open_shows_as_the_model_s_own():
    view = video_view(replace(QUEUED, payload=write_job(VideoJob(prompt="a ship"))), "wan2.1-t2v-1.3b")
    assert (view["size"], view["seconds"]) == ("832x480", "5")


def test_progress_is_the_steps_behind_us():
    view = video_view(RUNNING, "shapes")
    assert (view["status"], view["progress"], view["phase"], view["eta_s"]) == ("in_progress", 50, "sample", 5.0)
    assert view["acceleration"] == {
        "mode": "auto", "pace": {"speedup": 2.6}, "made": 10,
        "skipped": 15, "expected_fidelity_db": None, "audit": None,
    }  # fmt: skip


def test_a_result_of_before_plans_were_written_down_is_shown_all_the_same():
    evaluations = {"planned": 50, "made": 20, "skipped": 30, "nfe": 40, "baseline_nfe": 100}
    old = {"acceleration": "fastflow", "evaluations": evaluations, "audit": None}
    view = video_view(replace(RUNNING, state=JobState.SUCCEEDED, result=old), "shapes")
    assert (view["acceleration"]["mode"], view["acceleration"]["made"]) == ("fastflow", 20)
    assert view["acceleration"]["expected_fidelity_db"] is view["acceleration"]["snapshot"] is None


@pytest.mark.parametrize("damaged", [{}, {"evaluations": "many"}, {"files": 3}])
def test_of_a_damaged_result_is_shown_what_is_left(damaged: dict[str, Any], tmp_path: Path):
    """A list of videos must not fail for one of them."""
    record = replace(RUNNING, state=JobState.SUCCEEDED, result=damaged)
    view = video_view(record, "shapes")
    assert (view["status"], view["acceleration"]["mode"], view["manifest"]) == ("completed", "auto", damaged)
    with pytest.raises(Refusal, match="is damaged") as refusal:
        content_answer(record, Variant.VIDEO, open_store(tmp_path.as_uri()))
    assert refusal.value.status == 500


def test_progress_never_goes_back_when_an_audit_begins():
    audited = replace(RUNNING, progress=Progress("audit", step=60, steps=100, evaluated=20, skipped=30, audit_steps=50))
    view = video_view(audited, "shapes")
    assert (view["progress"], view["phase"], view["step"], view["steps"], view["audit_steps"]) == (
        99, "audit", 60, 100, 50,
    )  # fmt: skip
    assert (view["acceleration"]["made"], view["acceleration"]["skipped"]) == (20, 30)
    asked = replace(RUNNING, progress=replace(audited.progress, phase="sample", step=25, eta_s=50.0))
    assert video_view(asked, "shapes")["progress"] == 50
    assert poll_after_ms(asked, 1020.9) == 2_000, "one of the video's 25 steps to come"


def test_the_time_left_is_told_until_a_beat_is_overdue():
    assert video_view(replace(RUNNING, silent_s=14.0, lease_left_s=46.0), "shapes")["eta_s"] == 5.0
    assert video_view(replace(RUNNING, silent_s=16.0, lease_left_s=44.0), "shapes")["eta_s"] is None


def test_a_running_video_is_never_at_100_percent():
    decoding = replace(RUNNING, progress=Progress("decode", step=50, steps=50))
    assert video_view(decoding, "shapes")["progress"] == 99


def test_a_video_that_waits_for_its_next_attempt_is_queued_without_progress():
    backing_off = replace(RUNNING, state=JobState.DELAYED, error={"code": "oom", "message": "out of memory"})
    view = video_view(backing_off, "shapes")
    assert (view["status"], view["progress"], view["error"], view["eta_s"]) == ("queued", 0, None, None)


def test_a_failed_video_keeps_the_progress_it_made_and_says_why():
    view = video_view(DEAD, "shapes")
    assert (view["status"], view["progress"]) == ("failed", 50)
    assert view["error"] == {"code": "oom", "message": "out of memory"}
    assert (view["completed_at"], view["expires_at"]) == (None, 1400)


def test_what_only_operators_may_read_is_not_shown():
    secret = replace(DEAD, error={"code": "internal", "message": "FileNotFoundError: /mnt/models/secret"})
    error = video_view(secret, "shapes")["error"]
    assert error["code"] == "internal"
    assert "/mnt" not in error["message"]


def test_a_cancelled_video_is_failed_with_its_own_code():
    view = video_view(replace(DEAD, state=JobState.CANCELLED), "shapes")
    assert (view["status"], view["error"]["code"]) == ("failed", "cancelled")


def test_a_broken_payload_is_shown_and_no_error():
    view = video_view(replace(DEAD, payload="{"), "shapes")
    assert (view["status"], view["prompt"], view["size"]) == ("failed", "(unreadable)", "64x64")


@pytest.mark.parametrize(
    ("record", "now_s", "wait_ms"),
    [
        (QUEUED, 1000.9, 250),  # just submitted
        (QUEUED, 1020.9, 2_000),  # a tenth of the wait so far
        (QUEUED, 9000.0, 10_000),  # but not for ever
        (QUEUED, 500.0, 250),  # the server's clock and ours differ
        (RUNNING, 1020.9, 250),  # 0.2 s a step
        (replace(RUNNING, progress=Progress("sample", 1, 50, eta_s=245.0)), 1020.9, 5_000),
        (replace(RUNNING, progress=Progress("load")), 1020.9, 1_000),
        (DEAD, 1020.9, None),
    ],
)
def test_when_to_look_again(record: JobRecord, now_s: float, wait_ms: int | None):
    assert poll_after_ms(record, now_s) == wait_ms
