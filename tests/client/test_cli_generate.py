"""`generate` in one process, with a real pipeline of random weights, and `policy show` of what it learnt."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from rich.console import Console
from scripted_fleet import Answer, Fleet

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.cli.destination import check_destination
from fastflow_ray.cli.generation_display import report_line, shown
from fastflow_ray.cli.local_run import save_video
from fastflow_ray.cli.policy import table_of_arms, table_of_trajectories
from fastflow_ray.cli.policy_plot import pictured
from fastflow_ray.errors import InvalidInput, OutOfMemory
from fastflow_ray.media.video import read_video
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import Generation, GenerationSpec, StepReport
from fastflow_ray.queue.statistics_store import StatisticsStore

Command = Callable[..., Answer]
SMALL = ("--size", "32x16", "--frames", 5, "--fps", 8, "--steps", 12, "--seed", 7)


@pytest.fixture
def generate(command: Command, small_checkpoint: Path) -> Command:
    def run(*words: object) -> Answer:
        return command("generate", "a circle", "--model", small_checkpoint, *SMALL, *words)

    return run


def test_a_video_with_every_step_evaluated(generate: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"an older video")
    answer = generate("-o", out, "--acceleration", "off")
    assert (answer.code, answer.err) == (0, "")
    said = answer.out.splitlines()
    assert said[0] == f"{out}  32x16, 5 frames, seed 7"
    assert said[1].startswith("12 of 12 steps evaluated (1.0×), ")
    assert [word.split()[0] for word in said[2].removeprefix("seconds: ").split(", ")] == [
        "load", "text_encode", "sample", "decode", "encode",
    ]  # fmt: skip
    assert len(said) == 3
    assert read_video(out).shape == (5, 16, 32, 3)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("words", [("--acceleration", "fastflow"), ("--speedup", 2.4), ("--evaluations", 5)])
def test_the_first_call_is_the_calibration_and_says_so(
    generate: Command, tmp_path: Path, words: tuple[object, ...]
) -> None:
    answer = generate("-o", tmp_path / "out.mp4", *words)
    assert "12 of 12 steps evaluated" in answer.out
    assert answer.out.splitlines()[-1].startswith("this was the calibration: evaluated in full")
    assert "give --policy FILE to keep what was learnt" in answer.out


def test_a_policy_file_makes_the_next_call_skip(generate: Command, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    words = ("--acceleration", "fastflow", "--policy", policy, "--json")
    first = json.loads(generate("-o", tmp_path / "1.mp4", *words).out)
    assert (first["calibration"], first["evaluations"]["skipped"]) == (True, 0)
    Statistics.from_json(policy.read_text())
    reports = [json.loads(generate("-o", tmp_path / "2.mp4", *words).out) for _ in range(3)]
    assert [report["calibration"] for report in reports] == [False] * 3
    assert reports[-1]["evaluations"]["skipped"] > 0
    assert len(reports[-1]["evaluated_steps"]) + reports[-1]["evaluations"]["skipped"] == 12
    (table,) = Statistics.from_json(policy.read_text()).tables.values()
    assert (table.runs, table.scale_runs) == (4, 1)


@pytest.mark.parametrize(
    ("words", "pace"),
    [
        (("--speedup", 2.4), {"speedup": 2.4}),
        (("--preset", "fast"), {"preset": "fast", "fidelity_db": 30.0, "confidence": 0.95}),
        ((), {"speedup": 2.6}),
    ],
)
def test_a_policy_file_keeps_what_a_pace_is_planned_from(
    generate: Command, tmp_path: Path, words: tuple[object, ...], pace: dict[str, object]
) -> None:
    policy = ("--policy", tmp_path / "policy.json", "--json")
    first, second = (json.loads(generate("-o", tmp_path / "o.mp4", *words, *policy).out) for _ in range(2))
    assert (first["calibration"], first["evaluations"]["skipped"]) == (True, 0)
    assert first["pace"] == second["pace"] == pace
    done = second["evaluations"]
    assert done["made"] == done["planned"] + done["added"] == 12 - done["skipped"]
    assert second["plan"]["evaluated"] == second["evaluated_steps"]
    if "speedup" in pace:
        assert (second["calibration"], done["planned"]) == (False, 5)


def test_a_fidelity_is_not_said_to_skip_from_the_second_video_on(generate: Command, tmp_path: Path) -> None:
    out, policy = ("-o", tmp_path / "o.mp4"), ("--policy", tmp_path / "p.json")
    first, second = (generate(*out, "--fidelity-db", 40, *policy).out.splitlines()[-1] for _ in range(2))
    assert "no plan is known yet to keep 40 dB: that takes at least 9 videos of this kind" in first
    assert ("p.json has learnt from 1;" in first, "p.json has learnt from 2;" in second) == (True, True)
    assert second.endswith("; --speedup 2.6 with a --policy file skips from the second on")
    surer = generate(*out, "--fidelity-db", 30, "--confidence", 0.99).out.splitlines()[-1]
    assert "at least 9 videos of this kind, and give --policy FILE to keep them;" in surer


def test_a_fidelity_that_nothing_may_show_is_not_said_to_come(generate: Command, tmp_path: Path) -> None:
    words = ("-o", tmp_path / "o.mp4", "--fidelity-db", 40, "--no-audit", "--policy", tmp_path / "p.json")
    last = generate(*words).out.splitlines()[-1]
    assert last.endswith("only audits, which --no-audit forbids, could show one; leave it out")


def test_a_video_whose_lessons_are_lost_is_said_to_be_there(
    generate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_and_lose_the_folder(made: Generation, fps: int, output: Path) -> None:
        save_video(made, fps, output)
        policy.parent.rmdir()

    policy = tmp_path / "lessons" / "p.json"
    policy.parent.mkdir()
    monkeypatch.setattr("fastflow_ray.cli.generate.save_video", save_and_lose_the_folder)
    answer = generate("-o", tmp_path / "o.mp4", "--policy", policy)
    assert (answer.code, (tmp_path / "o.mp4").exists()) == (1, True)
    assert f"{tmp_path}/o.mp4 was made, but what it taught is lost: cannot write {policy}" in answer.err


def test_what_the_model_passed_over_is_told(generate: Command, tmp_path: Path) -> None:
    words = ("-o", tmp_path / "o.mp4", "--acceleration", "off", "--guidance", 1, "--negative-prompt", "blurred")
    note = "the negative prompt has no effect at guidance 1; it needs guidance above 1"
    assert generate(*words).out.splitlines()[-1] == f"note: {note}"
    assert json.loads(generate(*words, "--json").out)["remarks"] == [note]


def test_an_audit_tells_the_distance_to_the_full_run(generate: Command, tmp_path: Path) -> None:
    policy, words = tmp_path / "policy.json", ("--acceleration", "fastflow", "--audit")
    first = generate("-o", tmp_path / "1.mp4", "--policy", policy, *words)
    assert "measured identical to the full run" in first.out
    for _ in range(2):
        answer = generate("-o", tmp_path / "2.mp4", "--policy", policy, *words)
    assert " network evaluations and 24 for the audit" in answer.out
    answer = generate("-o", tmp_path / "2.mp4", "--policy", policy, *words, "--json")
    audit = json.loads(answer.out)["audit"]
    assert (5 < audit["psnr_db"] < 120, audit["full_nfe"]) == (True, 24)


def test_a_video_whose_audit_ran_out_of_memory_teaches_once(
    generate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, make, walks = tmp_path / "policy.json", DiffusersEngine.generate, count(1)
    words = ("-o", tmp_path / "o.mp4", "--evaluations", 5, "--policy", policy)
    generate(*words)

    def run_out(engine: DiffusersEngine, spec: GenerationSpec, *more: Any) -> Generation:
        if next(walks) == 3:  # the first rival's, when the full run has been learnt from
            raise OutOfMemory("no room; use a smaller size")
        return make(engine, spec, *more)

    monkeypatch.setattr(DiffusersEngine, "generate", run_out)
    assert generate(*words).code == 0
    assert next(walks) > 5, "it was made once more"
    (table,) = Statistics.from_json(policy.read_text()).trajectories.values()
    assert (table.runs, table.full_runs) == (3, 2), "the first, the second, and its audit's"


def test_nothing_is_begun_that_could_not_be_saved(command: Command, tmp_path: Path) -> None:
    for words, message in (
        (("-o", tmp_path / "no" / "out.mp4"), "there is no folder"),
        (("-o", tmp_path), f"it is a folder; name a file in it, such as {tmp_path}/video.mp4"),
        (("-o", tmp_path / "o.avi"), f"end the name in .mp4, such as {tmp_path}/o.mp4"),
        (("-o", tmp_path / "o.mp4", "--policy", tmp_path), "it is a folder; name a file in it"),
        (("-o", tmp_path / "o.mp4", "--policy", tmp_path / "no" / "p.json"), "p.json: there is no folder"),
        (("-o", "/proc/o.mp4"), "cannot write /proc/o.mp4: "),
        (("-o", tmp_path / "o.mp4", "--policy", "/proc/p.json"), "cannot write /proc/p.json: "),
        (("-o", tmp_path / f"{'o' * 250}.mp4"), "o.mp4: File name too long; "),
        (("-o", tmp_path / "o.mp4", "--policy", tmp_path / "p", "--acceleration", "off"), "leave it out with"),
        (("-o", tmp_path / "o.mp4", "--evaluations", 60), "60 of 50 steps cannot be evaluated; ask for 2 to 50"),
        (("-o", tmp_path / "o.mp4", "--speedup", 2, "--acceleration", "off"), "with off leave it out"),
        (("-o", tmp_path / "o.mp4", "--frames", 16), "16 frames cannot be decoded"),
        (("-o", tmp_path / "o.mp4", "--size", "1280x720"), "error: --size, width: too large for shapes; at most 1024"),
        (("-o", tmp_path / "o.mp4", "--size", "100000x64"), "width: too large; at most 2048"),
        (("-o", tmp_path / "o.mp4", "--guidance", "nan"), "error: --guidance: must be a finite number"),
        (("-o", tmp_path / "o.mp4", "--model", "sora"), "no model named 'sora'"),
        (("-o", tmp_path / "o.mp4", "--model", ""), "no model named ''; there are: "),
    ):
        answer = command("generate", "a circle", *words)
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err
        assert answer.err.count("\n") == 1


def test_a_folder_without_room_is_told_before_the_work_and_holds_what_it_held(tmp_path: Path) -> None:
    (place := tmp_path / "o.mp4").write_bytes(b"an older video")
    check_destination(place, ".mp4")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(InvalidInput, match=r"o\.mp4: File too large; make room, or name a file elsewhere"):
            check_destination(place, ".mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == [(place, b"an older video")]


def test_damaged_statistics_are_named_before_the_model_is_loaded(command: Command, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text("{}")
    answer = command("generate", "a circle", "-o", tmp_path / "o.mp4", "--policy", policy)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith(f"error: {policy} holds no statistics of version 7: they have no version; name a file")
    assert "fleet" not in answer.err


def test_a_full_disk_is_one_line(generate: Command) -> None:
    answer = generate("-o", "/dev/full", "--acceleration", "off")
    assert (answer.code, answer.err) == (1, "error: cannot write /dev/full: No space left on device\n")


def test_an_interrupted_generate_says_that_nothing_is_left_of_it(
    generate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*generation: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastflow_ray.audited.generate", interrupted)
    answer = generate("-o", tmp_path / "o.mp4")
    told = "interrupted; nothing goes on, and no half video is left\n"
    assert (answer.code, answer.out, answer.err) == (130, "", told)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_model(command: Command, tmp_path: Path) -> None:
    answer = command("generate", "a circle", "-o", tmp_path / "o.mp4", "--model", tmp_path)
    assert answer.code == 1
    assert answer.err.startswith(f"error: cannot load the model '{tmp_path}'")


def test_a_folder_that_does_not_exist(command: Command, tmp_path: Path) -> None:
    answer = command("generate", "a circle", "-o", tmp_path / "o.mp4", "--model", tmp_path / "no")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith(f"error: no model in {tmp_path}/no: there is no such folder; ")


def test_a_model_that_is_neither_here_nor_to_be_had_from_the_hub(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    answer = command("generate", "a circle", "-o", tmp_path / "o.mp4", "--model", "nope/x")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("error: no model in nope/x: there is no such folder, it was not fetched before, and ")


def test_a_terminal_sees_every_phase() -> None:
    screen = Console(file=StringIO(), force_terminal=True, width=120)
    with shown(screen) as on_step:
        on_step(StepReport("text_encode", 0, 12))
    assert isinstance(screen.file, StringIO)
    assert "text_encode" in screen.file.getvalue()
    line = report_line(StepReport("sample", 6, 12, 2, 4), elapsed_s=1.25).plain
    assert line == "sample      ████░░░░░░░░············ 6/12, 2 evaluated, 4 skipped  1.2 s"
    audited = report_line(StepReport("audit", 13, 24, 5, 7, audit_steps=12), elapsed_s=3.2).plain
    assert audited == "audit+1     ██████████░░░░░░░░░░░░░░ 12/12, 5 evaluated, 7 skipped  3.2 s"
    long = report_line(StepReport("audit", 200, 200, 38, 62, audit_steps=100), elapsed_s=12.3).plain
    assert len(f"⠋ {long}") <= 80, "a second line would come and go"


def learnt() -> Statistics:
    statistics = Statistics()
    table = statistics.table("shapes@r1:steps3", steps=3, arms=(0, 2), grid="g")
    table.update(0, 2, 0.5)
    table.update(0, 2, 0.25)
    table.update(2, 0, 0.001)
    table.runs = 2
    statistics.trajectory("shapes@r1:steps3:grid0", steps=3, grid="g").add_run(
        np.array([[4, 0, 0], [0, 1, 1], [0, 1, 4.0]])
    )
    return statistics


def test_policy_show_of_a_file(command: Command, tmp_path: Path) -> None:
    file, plot = tmp_path / "policy.json", tmp_path / "policy.png"
    file.write_text(learnt().to_json())
    answer = command("policy", "show", "--file", file, "--plot", plot)
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines() if line.strip()]
    (key, counts, heading, *rows), trajectories = lines[:-7], lines[-7:]
    assert key == ["shapes@r1:steps3"]
    assert " ".join(counts) == "2 generations, 0 of them calibrations, mu = 0"
    assert heading == ["step", "skip", "0", "skip", "2"]
    assert rows[1:] == [["0", "·", "2", "×", "3.75e-01"], ["2", "1", "×", "1.00e-03", "·"]]
    assert " ".join(trajectories[1]) == "1 trajectory, 1 of them in full"
    assert " ".join(trajectories[2]) == "step velocity as before growth audits response missed dB seen"
    assert trajectories[5:] == [
        ["1", "1.000", "0.0000", "~4.00", "0", "0.00", "+0.0", "0"],
        ["2", "2.000", "0.5000", "~2.00", "0", "0.00", "+0.0", "0"],
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("gains_db", "told"),
    [
        ([], "1 trajectory, 1 of them in full"),
        ([4.0, 3.0], "1 trajectory, 1 of them in full; smooth predictions keep +3.5 dB in 2 audits, and are made"),
        ([-1.0], "1 trajectory, 1 of them in full; smooth predictions keep -1.0 dB in 1 audit"),
    ],
)
def test_policy_show_tells_whether_predictions_are_smooth(
    command: Command, tmp_path: Path, gains_db: list[float], told: str
) -> None:
    file, statistics = tmp_path / "policy.json", learnt()
    for gain_db in gains_db:
        statistics.trajectories["shapes@r1:steps3:grid0"].smoothing.add(gain_db)
    file.write_text(statistics.to_json())
    assert told in command("policy", "show", "--file", file).out.splitlines()


def test_growth_that_an_audit_measured_is_not_marked() -> None:
    (trajectories,) = learnt().trajectories.values()
    trajectories.growth.add(np.zeros(3), np.array([False, True, False]))
    (growth,) = (
        list(column.cells) for column in table_of_trajectories(trajectories).columns if column.header == "growth"
    )
    assert [str(cell).startswith("~") for cell in growth] == [True, False, True]


def test_growth_that_no_audit_measured_is_drawn_hollow() -> None:
    statistics = learnt()
    (trajectories,) = statistics.trajectories.values()
    trajectories.growth.add(np.zeros(3), np.array([False, True, False]))
    drawn = pictured(statistics).axes[3]
    points = [line for line in drawn.get_lines() if line.get_marker() == "o"]
    assert [(list(line.get_xdata()), line.get_markerfacecolor()) for line in points] == [([1], "C0"), ([0, 2], "white")]
    growth = trajectories.growth.to_end
    assert [list(line.get_ydata()) for line in points] == [[growth[1]], [growth[0], growth[2]]]
    legend = drawn.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["measured by audits", "by a law, without an audit"]


def test_the_help_of_policy_show_names_all_its_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (arms,), (trajectories,) = learnt().tables.values(), learnt().trajectories.values()
    headings = [str(column.header) for table in (table_of_arms(arms), table_of_trajectories(trajectories))
                for column in table.columns if column.header != "step"]  # fmt: skip
    assert {"skip 2", "velocity", "missed dB", "seen"} <= set(headings)
    named = [re.split("  +", line.strip())[0] for line in command("policy", "show", "--help").out.splitlines()]
    assert {re.sub(r"skip \d", "skip N", heading) for heading in headings} <= set(named)


def test_a_long_policy_key_is_printed_whole(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (table,) = learnt().tables.values()
    key = "wan2.2-t2v-a14b@r1:steps50:shift5:guidance4:1280x720x81:arms0-2-4-6:grid0123456789ab"
    file = tmp_path / "policy.json"
    file.write_text(Statistics({key: table}).to_json())
    assert command("policy", "show", "--file", file).out.splitlines()[0] == key


def test_on_a_narrow_terminal_policy_show_cuts_no_number(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.json").write_text(learnt().to_json())
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown: dict[int, list[str]] = {}
    for columns in (80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        letters = re.sub(r"\x1b\[[0-9;]*m", "", command("policy", "show", "--file", tmp_path / "p.json").out)
        shown[columns] = [" ".join(line.split()) for line in letters.splitlines()]
    assert "step velocity as before growth audits response missed dB seen" in shown[80]
    assert "2 2.000 0.5000 ~2.00 0 0.00 +0.0 0" in shown[80]
    first = shown[40].index("step velocity as before growth")
    second = shown[40].index("step audits response missed dB seen")
    assert (shown[40][first + 4], shown[40][second + 4]) == ("2 2.000 0.5000 ~2.00", "2 0 0.00 +0.0 0")
    assert "0 · 2 × 3.75e-01" in shown[40]


def test_policy_show_of_a_fleet(on_fleet: Command, fleet: Fleet) -> None:
    assert on_fleet("policy", "show").out == "nothing was learnt yet\n"
    store = StatisticsStore(fleet.redis_url, "shapes")
    store.save({key: learnt().of(key).to_json() for key in learnt().keys}, "w-0", 1, "0")
    store.close()
    assert "shapes@r1:steps3" in on_fleet("policy", "show").out
    shown_json = on_fleet("policy", "show", "--json").out
    assert Statistics.from_json(shown_json).to_json() == learnt().to_json()


def test_policy_show_and_the_troubles_it_may_have(command: Command, tmp_path: Path) -> None:
    missing = command("policy", "show", "--file", tmp_path / "no.json")
    assert (missing.code, "cannot read statistics from" in missing.err) == (2, True)
    (tmp_path / "video.mp4").write_bytes(b"\xff\xfe\x00")
    wrong = command("policy", "show", "--file", tmp_path / "video.mp4")
    assert (wrong.code, "cannot read statistics from" in wrong.err) == (2, True)
    both = command("policy", "show", "--file", tmp_path / "p", "--redis", "redis://h")
    assert (both.code, "give only one of them" in both.err) == (2, True)
    nobody = command("policy", "show", "--redis", "redis://127.0.0.1:1")
    assert (nobody.code, "cannot be reached" in nobody.err) == (1, True)


def test_an_empty_policy_can_be_drawn_too(command: Command, tmp_path: Path) -> None:
    nothing = Statistics()
    (tmp_path / "p.json").write_text(nothing.to_json())
    assert command("policy", "show", "--file", tmp_path / "p.json", "--plot", tmp_path / "p.png").code == 0
    nothing.table("a", steps=3, arms=(0, 2), grid="g")  # as a generation that failed at once leaves them
    nothing.trajectory("b", steps=3, grid="g")
    (tmp_path / "p.json").write_text(nothing.to_json())
    assert command("policy", "show", "--file", tmp_path / "p.json", "--plot", tmp_path / "p.png").code == 0
    assert (tmp_path / "p.png").stat().st_size > 0
