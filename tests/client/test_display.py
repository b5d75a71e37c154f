"""Jobs as they are shown: pure functions of records."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fastflow_ray.cli.output import record_json
from fastflow_ray.display.advance import Advance, advance, bar, seconds_text
from fastflow_ray.display.jobs import account_line, job_card, job_line, jobs_table, listed_line
from fastflow_ray.display.words import prompt_of
from fastflow_ray.display.workers import workers_table
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord, Progress
from fastflow_ray.queue.worker_card import Service, WorkerCard

WAITING = JobRecord("ab12", JobState.QUEUED, json.dumps({"prompt": "a small red circle"}), "default", 0, 0, 1.0)
RUNNING = replace(
    WAITING, state=JobState.RUNNING, attempts=1, worker="w-0", progress=Progress("sample", 20, 40, 8, 12, eta_s=4.2)
)
MANIFEST = {
    "steps": 8,
    "seed": 7,
    "evaluations": {"planned": 3, "made": 3, "skipped": 5, "nfe": 6, "baseline_nfe": 16},
    "evaluated_steps": [0, 1, 7],
    "phase_s": {"sample": 1.5},
    "audit": {"psnr_db": 31.25, "ssim": 0.9, "full_nfe": 16, "full_sample_s": 1.5, "nfe": 16},
    "files": {"video": {"key": "jobs/ab12/9/video.mp4", "size": 12345}},
}
DONE = replace(RUNNING, state=JobState.SUCCEEDED, claimed_s=10.0, finished_s=197.0, result=MANIFEST)
DEAD = replace(RUNNING, state=JobState.DEAD, error={"code": "oom", "message": "too large"})


def printed(renderable: object, width: int = 140) -> str:
    screen = Console(file=StringIO(), width=width)
    screen.print(renderable)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def test_a_running_job_in_a_row() -> None:
    row = printed(jobs_table([RUNNING])).splitlines()[1]
    assert row.split() == ["a", "small", "red", "circle", "sample", "█████░░░░░░░············", "20/40", "8", "12",
                           "4.2", "s", "w-0"]  # fmt: skip


def test_rows_keep_their_order_and_ids_stand_below_the_prompts() -> None:
    records = [replace(DONE, job_id="second"), replace(WAITING, job_id="first")]
    lines = printed(jobs_table(records)).splitlines()
    assert [line.split()[0] for line in lines] == ["prompt", "a", "second", "a", "first"]


def test_an_id_is_whole_even_on_a_narrow_terminal() -> None:
    long = replace(DONE, job_id="0123456789abcdef" * 2)
    assert long.job_id in printed(jobs_table([RUNNING, long]), width=80)


def test_on_80_columns_no_number_is_cut_of_a_long_resumed_or_audited_job() -> None:
    job_id = "0123456789abcdef" * 2
    whole = replace(DONE, job_id=job_id, worker="shapes-worker-0", result=MANIFEST | {"steps": 100})
    resumed = replace(whole, finished_s=3710.0, result=MANIFEST | {"steps": 100, "resumed_at_steps": [5]})
    audited = replace(RUNNING, job_id=job_id, progress=Progress("audit", 200, 200, 38, 62, audit_steps=100))
    heading, *lines = printed(jobs_table([whole, resumed, audited]), width=80).splitlines()
    assert {"state", "step", "made", "skipped", "ETA"} <= set(heading.split())
    for line, facts in zip(lines[::2], ("succeeded in 3:07", "succeeded over 1:01:40", "audit+100 38 62"), strict=True):
        assert {"100/100", *facts.split()} <= set(line.split())


@pytest.mark.parametrize("width", [34, 50, 60, 72, 79])
def test_on_fewer_than_80_columns_a_job_has_lines_of_its_own_with_id_and_numbers_whole(width: int) -> None:
    job_id, prompt = (
        "0123456789abcdef" * 2,
        "a small white square drifting to the right over a brown background, and on",
    )
    whole = replace(DONE, job_id=job_id, finished_s=3710.0, result=MANIFEST | {"steps": 100, "resumed_at_steps": [5]})
    audited = replace(RUNNING, job_id=job_id, progress=Progress("audit", 200, 200, 38, 62, audit_steps=100))
    running = replace(RUNNING, job_id=job_id, payload=json.dumps({"prompt": prompt}))
    lines = printed(jobs_table([running, whole, audited]), width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == (prompt if len(prompt) <= width else f"{prompt[: width - 1]}…")
    assert [line.strip() for line in lines].count(job_id) == 3
    told = " ".join(word for line in lines for word in line.split() if word != job_id)
    for facts in (
        "sample 20/40, 8 made, 12 skipped ETA 4.2 s",
        "succeeded 100/100, 3 made, 5 skipped over 1:01:40",
        "audit+100 100/100, 38 made, 62 skipped",
    ):
        assert facts in told
    assert len(lines) == 9 or width < 60, "a line each for prompt, id and numbers"


def test_a_narrow_terminal_shortens_prompt_and_worker_and_no_number() -> None:
    prompt = "a small red circle and a blue square moving left"
    long = replace(RUNNING, payload=json.dumps({"prompt": prompt}), worker="worker-gpu-17")
    row = printed(jobs_table([long]), width=80).splitlines()[1]
    assert "moving left" not in row
    assert "gpu-17" not in row
    assert " 20/40    8      12 4.2 s " in row


def test_a_finished_job_shows_which_steps_ran() -> None:
    assert bar(advance(DONE), cells=8).plain == "██░░░░░█"
    assert bar(advance(DONE), cells=16).plain == "████░░░░░░░░░░██"
    assert bar(advance(DONE), cells=4).plain == "█░░█"


@pytest.mark.parametrize("cells", [1, 7, 24, 100])
@pytest.mark.parametrize(("made", "skipped"), [(0, 0), (1, 0), (17, 32), (50, 0), (20, 30)])
def test_a_bar_is_as_long_as_it_says(cells: int, made: int, skipped: int) -> None:
    strip = bar(Advance("sample", made + skipped, 50, made, skipped), cells).plain
    assert len(strip) == cells
    assert ("·" in strip) == (round(cells * (made + skipped) / 50) < cells)


def test_lines_for_logs() -> None:
    assert job_line(WAITING) == "ab12  queued"
    assert job_line(RUNNING) == "ab12  running  sample  step 20/40, 8 evaluated, 12 skipped  ETA 4.2 s"
    assert job_line(DONE) == "ab12  succeeded  3 of 8 steps evaluated (2.7×), measured 31.2 dB  in 3:07"
    assert job_line(DEAD).endswith("oom: too large")


def test_a_card_tells_what_skipping_did() -> None:
    card = printed(job_card(DONE))
    for fact in ("3 of 8 steps evaluated (2.7×), measured 31.2 dB",
                 "6 of 16 evaluations, 2.67 times fewer", "PSNR 31.2 dB against the full run, for 16 evaluations more",
                 "seed  7",
                 "12,345 bytes at jobs/ab12/9/video.mp4", "sample 1.5", "took  3:07", "1 on w-0"):  # fmt: skip
        assert fact in card


@pytest.mark.parametrize(
    ("attempts", "made_by", "resumed_at", "since", "of_phases"),
    [
        (1, 1, [], "", ""),
        (2, 2, [], "since its last attempt began", ""),
        (1, 1, [3, 5], "since it was resumed at step 5", "since it was resumed at step 5"),
        (2, 1, [5], "since its last attempt began", "since it was resumed at step 5"),  # which found it published
    ],
)
def test_what_a_job_took_says_since_when_it_is_counted(
    attempts: int, made_by: int, resumed_at: list[int], since: str, of_phases: str
) -> None:
    made = MANIFEST | {"attempt": made_by, "resumed_at_steps": resumed_at}
    record = replace(DONE, attempts=attempts, result=made)
    told = [line.strip() for line in printed(job_card(record)).splitlines()]
    assert f"took  3:07 {since}".strip() in told
    assert f"seconds  sample 1.5 {of_phases}".strip() in told
    assert job_line(record).endswith(f"in 3:07 {since}".strip())
    assert ("over 3:07" if since else "in 3:07") in printed(jobs_table([record]))


def test_a_card_and_a_line_tell_what_the_model_passed_over() -> None:
    said = replace(DONE, result=MANIFEST | {"remarks": ["only the first 32 tokens were read"]})
    assert "note  only the first 32 tokens were read" in printed(job_card(said))
    assert job_line(said).endswith("in 3:07  note: only the first 32 tokens were read")


def test_the_account_tells_what_was_foreseen_and_what_was_measured() -> None:
    done = {"made": 19, "added": 0}
    assert account_line({"steps": 50, "evaluations": done}) == "19 of 50 steps evaluated (2.6×)"
    audited = {"steps": 50, "evaluations": done, "expected_fidelity_db": 41.2, "audit": {"psnr_db": 43.21}}
    assert account_line(audited) == "19 of 50 steps evaluated (2.6×), expected 41 dB on average, measured 43.2 dB here"
    unaudited = {**audited, "audit": None}
    assert account_line(unaudited) == "19 of 50 steps evaluated (2.6×), expected 41 dB on average"
    same = {"steps": 50, "evaluations": {"made": 50}, "expected_fidelity_db": None, "audit": {"psnr_db": None}}
    assert account_line(same) == "50 of 50 steps evaluated (1.0×), measured identical to the full run"
    more = {"steps": 50, "evaluations": {"made": 21, "added": 2}}
    assert account_line(more) == "21 of 50 steps evaluated (2.4×), 2 of them beyond the plan"


def test_a_narrow_terminal_shortens_no_key_and_no_worker() -> None:
    def whole(text: str) -> str:
        return "".join(text.split())

    assert "jobs/ab12/9/video.mp4" in whole(printed(job_card(DONE), width=24))
    names = ["shapes-worker-0", "shapes-worker-1"]
    service = Service("shapes", tuple(WorkerCard(name, "cpu", "idle") for name in names))
    shown = printed(workers_table([service]), width=70)
    column = shown.splitlines()[0].index("worker")
    width = shown.splitlines()[0].index("GPU") - column
    assert "".join(line[column : column + width].strip() for line in shown.splitlines()[1:]) == "".join(names)


def test_on_80_columns_a_worker_has_its_jobs_below_its_name() -> None:
    made, published = "0198d2a4c1f04e0f8a3b5d6e7f8091a2", "0198d2a4c1f04e0f8a3b5d6e7f8091a3"
    cards = [
        WorkerCard("shapes-worker-0", "cpu (x86_64)", "busy", made, published, beats=1234, silent_s=3.0),
        WorkerCard("shapes-worker-1", "cuda:0 (NVIDIA H100 80GB HBM3)", "idle", beats=9, silent_s=12.0),
        WorkerCard("shapes-worker-2", "cpu (x86_64)", "draining", publishing=published, beats=12),
    ]
    lines = printed(workers_table([Service("shapes", cards)], ids_below=True), width=80).splitlines()
    assert lines[0].split() == ["model", "worker", "GPU", "state", "beats", "heard", "of"]
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[1:4]] == [
        ["shapes", "shapes-worker-0", "cpu", "busy", "1234", "3", "s", "ago"],
        [made, "(x86_64)", "makes"],
        [published, "publishes"],
    ]
    assert lines[4].split()[:2] == ["shapes", "shapes-worker-1"]
    assert lines[4].endswith("idle       9      12 s ago")
    assert [published, "(x86_64)", "publishes"] in [line.split() for line in lines[6:]]


def test_on_fewer_columns_a_workers_numbers_are_whole_or_marked_as_cut() -> None:
    card = WorkerCard("fastflow-ray-gpu-group-worker-7xk2p-0", "cpu (x86_64)", "publishing", beats=1234, silent_s=113.0)
    for width in range(56, 100):
        shown = printed(workers_table([Service("shapes", [card])], ids_below=True), width=width)
        row = next(line for line in shown.splitlines() if "fastflow-ray" in line)
        assert "  1234 " in row or "…  113 s" in row, "123 would be another number"


@pytest.mark.parametrize(("width", "model_above"), [(60, True), (72, True), (80, True), (120, False)])
def test_where_columns_would_break_words_a_model_stands_above_its_workers(width: int, model_above: bool) -> None:
    made, published = "0198d2a4c1f04e0f8a3b5d6e7f8091a2", "0198d2a4c1f04e0f8a3b5d6e7f8091a3"
    model, gpu = "wan2.1-t2v-1.3b", "cuda:0 (NVIDIA H100 80GB HBM3)"
    card = WorkerCard(f"{model}-worker-0", gpu, "draining", made, published, beats=1234, silent_s=113.0)
    lines = printed(workers_table([Service(model, [card]), Service("shapes", [])], ids_below=True), width).splitlines()
    assert max(map(len, lines)) <= width
    below = [[made, "makes"], [published, "publishes"]]
    facts = ["draining", "1234", "113", "s", "ago"]
    if model_above:
        assert [line.split() for line in lines[1:]] == [[model], [card.worker, *facts], gpu.split(), *below]
    else:
        assert [line.split() for line in lines[1:]] == [[model, card.worker, *gpu.split(), *facts], *below]


def test_an_audit_is_told_beside_the_videos_own_steps() -> None:
    asked = replace(RUNNING, progress=Progress("sample", 10, 60, 7, 3, eta_s=4.2, audit_steps=30))
    assert job_line(asked) == "ab12  running  sample  step 10/30, 7 evaluated, 3 skipped  ETA 4.2 s"
    audited = replace(RUNNING, progress=Progress("audit", 44, 60, 19, 11, audit_steps=30))
    told = "19 evaluated, 11 skipped, 14 steps of its audit"
    assert job_line(audited) == f"ab12  running  audit  step 30/30, {told}"
    assert f"30 of 30: {told}" in printed(job_card(audited))
    assert "audit+14" in (row := printed(jobs_table([audited])).splitlines()[1].split())
    assert row[-4:] == ["30/30", "19", "11", "w-0"]
    assert "·" not in bar(advance(audited)).plain
    encoded = replace(RUNNING, progress=replace(audited.progress, phase="encode", step=60))
    assert "encode " in printed(jobs_table([encoded]))


def test_a_card_tells_what_was_asked_for() -> None:
    pace = {"preset": "balanced", "fidelity_db": 38.0, "confidence": 0.95}
    card = printed(job_card(replace(DONE, result={**MANIFEST, "pace": pace, "snapshot": "3f2a"})))
    assert "preset balanced, fidelity_db 38.0, confidence 0.95" in card
    assert "by snapshot 3f2a" in card


def test_the_card_of_a_dead_job_tells_why() -> None:
    assert "oom: too large" in printed(job_card(DEAD))


def test_markup_in_a_prompt_is_text() -> None:
    shown = replace(WAITING, payload=json.dumps({"prompt": "[red]a\n circle[/red] [/nope]"}))
    assert "[red]a circle[/red] [/nope]" in printed(jobs_table([shown]))
    assert "[red]a circle[/red] [/nope]" in printed(job_card(shown))


def test_a_cancelled_job_says_so_once() -> None:
    cancelled = replace(
        RUNNING, state=JobState.CANCELLED, error={"code": "cancelled", "message": "cancelled on request"}
    )
    assert "cancelled: cancelled" not in job_line(cancelled) + printed(job_card(cancelled))
    assert ["error", "cancelled", "on", "request"] in [
        line.split() for line in printed(job_card(cancelled)).splitlines()
    ]


def test_nothing_in_a_prompt_or_an_error_steers_the_terminal() -> None:
    foul = replace(DEAD, payload=json.dumps({"prompt": "a\x1b[2Jcircle"}), error={"code": "oom", "message": "\x1b]0;x"})
    for shown in (jobs_table([foul]), job_card(foul), job_line(foul), listed_line(foul)):
        assert "\x1b" not in printed(shown)
    assert prompt_of(foul) == "a?[2Jcircle"


@pytest.mark.parametrize("payload", ["", "nonsense", "[]", "{}", "null"])
def test_a_damaged_record_is_shown_all_the_same(payload: str) -> None:
    damaged = replace(DONE, payload=payload, result={"odd": 1})
    assert prompt_of(damaged) == "(unreadable)"
    assert "succeeded" in printed(jobs_table([damaged]))
    assert "succeeded" in printed(job_card(damaged))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00"), (3599.4, "59:59"), (3909.0, "1:05:09")],
)
def test_seconds_for_people(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_silent_worker_shows_instead_of_a_frozen_eta() -> None:
    silent = replace(RUNNING, silent_s=40.0, lease_left_s=20.0)
    sentence = "attempt silent for 40 s, the job comes back in at most 55 s"
    for shown in (job_line(silent), printed(job_card(silent))):
        assert sentence in shown
        assert "ETA" not in shown
    row = printed(jobs_table([silent])).splitlines()[1]
    assert "silent" in row
    assert "4.2 s" not in row
    assert "silent" not in job_line(replace(RUNNING, silent_s=12.0, lease_left_s=48.0))


@pytest.mark.parametrize(
    ("silent_s", "told"),
    [
        (60.0, "attempt silent for 60 s, the job comes back in at most 35 s"),
        (90.0, "attempt silent for 90 s, the job comes back in at most 5 s"),
        (96.0, "attempt silent for 96 s, and nobody has given the job back yet; is the fleet up?"),
    ],
)
def test_when_a_job_comes_back_is_told_until_it_should_have(silent_s: float, told: str) -> None:
    silent = replace(RUNNING, silent_s=silent_s, lease_left_s=60.0 - silent_s)
    assert told in job_line(silent)
    assert told in printed(job_card(silent))


def test_the_time_left_is_told_until_a_beat_is_overdue() -> None:
    beating, overdue = (replace(RUNNING, silent_s=silent_s, lease_left_s=45.0) for silent_s in (14.0, 16.0))
    for shown in (job_line, job_card, lambda record: jobs_table([record])):
        assert "4.2 s" in printed(shown(beating))
        assert "4.2 s" not in printed(shown(overdue))
    assert "silent" not in job_line(overdue), "it may still be late"
    assert [record_json(record)["progress"]["eta_s"] for record in (beating, overdue, DONE)] == [4.2, None, None]
