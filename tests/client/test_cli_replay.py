"""`replay`: the same video again from its manifest, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from scripted_fleet import Answer, Fleet

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.account import account_of, numbers_of
from fastflow_ray.errors import InvalidInput
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.media.video import read_video
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec
from fastflow_ray.models.loading import load_engine
from fastflow_ray.pace import Pace
from fastflow_ray.recipe import Recipe

Command = Callable[..., Answer]
SPEC = GenerationSpec(
    "a circle", "", 32, 16, 5, 8, 12, 3.0, 3.0, 7, acceleration=Acceleration.AUTO, pace=Pace(evaluations=5)
)


@pytest.fixture(scope="module")
def engine(small_checkpoint: Path) -> Engine:
    return load_engine(str(small_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def skipping(engine: Engine) -> Generation:
    """What a plan of 5 of 12 steps made, drawn up from one full run."""
    fastflow = FastFlow()
    for _ in range(2):
        made = engine.generate(SPEC, fastflow, lambda report: None)
    assert made.trace.skipped == 7
    return made


@pytest.fixture
def manifest(engine: Engine, skipping: Generation) -> dict[str, Any]:
    """The fields of a result.json that tell of it."""
    told = {"model": engine.model, "revision": engine.revision, "versions": dict(engine.versions)}
    return {"schema_version": 1, "files": {}, **told, **numbers_of(SPEC), **account_of(skipping)}


@pytest.fixture
def replay(command: Command, small_checkpoint: Path, tmp_path: Path) -> Callable[..., Answer]:
    def run(manifest: dict[str, Any], *words: object) -> Answer:
        file = tmp_path / "result.json"
        file.write_text(json.dumps(manifest, indent=2))
        return command("replay", file, "-o", tmp_path / "out.mp4", "--model", small_checkpoint, *words)

    return run


def test_a_video_that_skipped_is_made_again_bit_for_bit(
    replay: Callable[..., Answer], manifest: dict[str, Any], tmp_path: Path
) -> None:
    answer = replay(manifest)
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'out.mp4'}  the same frames, bit for bit\n")
    assert read_video(tmp_path / "out.mp4").shape == (5, 16, 32, 3)


def test_what_generate_prints_as_json_is_a_result_too(command: Command, small_checkpoint: Path, tmp_path: Path) -> None:
    small = ("--model", small_checkpoint, "--size", "32x16", "--frames", 5, "--steps", 6)
    (tmp_path / "result.json").write_text(
        command("generate", "a circle", "-o", tmp_path / "o.mp4", *small, "--json").out
    )
    again = command("replay", tmp_path / "result.json", "-o", tmp_path / "again.mp4", "--model", small_checkpoint)
    assert again.out == f"{tmp_path / 'again.mp4'}  the same frames, bit for bit\n"


def test_its_frames_are_those_of_the_first_and_not_those_of_the_full_run(
    engine: Engine, skipping: Generation, manifest: dict[str, Any]
) -> None:
    spec = Recipe.read(json.dumps(manifest).encode()).spec()
    again = engine.generate(spec, FastFlow(), lambda report: None)
    assert np.array_equal(again.frames, skipping.frames)
    assert again.trace.evaluated == skipping.trace.evaluated
    full = engine.generate(SPEC.in_full(), FastFlow(), lambda report: None)
    assert not np.array_equal(full.frames, skipping.frames)


def test_other_frames_are_said_to_be_others_and_what_changed(
    replay: Callable[..., Answer], manifest: dict[str, Any]
) -> None:
    older = manifest | {"frames_sha256": "0" * 64, "versions": manifest["versions"] | {"torch": "1.0"}}
    answer = replay(older)
    assert "other frames; changed since: torch " in answer.out
    assert answer.out.endswith(" was 1.0\n")
    report = json.loads(replay(older, "--json").out)
    assert (report["same_frames"], len(report["changed"])) == (False, 1)


def test_a_full_run_of_before_plans_is_replayed_too_though_nothing_vouches_for_it(
    replay: Callable[..., Answer], manifest: dict[str, Any]
) -> None:
    old = manifest | {"acceleration": "off", "evaluated_steps": list(range(12))}
    for name in ("plan", "frames_sha256", "snapshot", "expected_fidelity_db"):
        del old[name]
    assert "the manifest does not say whether" in replay(old).out


def test_a_plan_is_not_walked_on_another_grid_of_as_many_steps(
    replay: Callable[..., Answer], manifest: dict[str, Any], tmp_path: Path
) -> None:
    answer = replay(manifest | {"shift": 5.0})
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: the plan is for another grid of 12 steps, as of another shift; ")
    assert not (tmp_path / "out.mp4").exists()


def test_other_weights_are_refused_unless_they_will_do(replay: Callable[..., Answer], manifest: dict[str, Any]) -> None:
    other = manifest | {"revision": "0123456789ab"}
    answer = replay(other)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "was made by revision 0123456789ab" in answer.err
    assert "--any-revision" in answer.err
    changed = replay(other | {"frames_sha256": "0" * 64}, "--any-revision")
    assert (changed.code, changed.out.count("revision ")) == (0, 1)
    assert changed.out.endswith(" was 0123456789ab\n")


def test_an_interrupted_replay_says_that_nothing_is_left_of_it(
    engine: Engine, replay: Callable[..., Answer], manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*generation: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(engine), "generate", interrupted)
    told = "interrupted; nothing goes on, and no half video is left\n"
    assert replay(manifest) == Answer(130, "", told)


def test_a_place_without_a_name_is_none(replay: Callable[..., Answer], manifest: dict[str, Any]) -> None:
    answer = replay(manifest | {"model": "shapes"}, "--model", "")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: no model named ''; there are: ")


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"plan": None}, "only acceleration auto keeps one"),
        ({"plan": {"steps": 12}}, "this is not a plan"),
        ({"seed": "x"}, "this is no manifest of a video: see seed; give a result.json or a job's id"),
        ({"plan": {"steps": 4, "evaluated": [0, 1, 2, 3], "predict": {}, "integrate": {}}}, "the plan is for 4 steps"),
    ],
)
def test_what_cannot_be_replayed_says_why(
    replay: Callable[..., Answer], manifest: dict[str, Any], change: dict[str, Any], remedy: str
) -> None:
    answer = replay(manifest | change)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert remedy in answer.err


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"null"])
def test_what_is_no_manifest(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="no manifest"):
        Recipe.read(text)


def test_a_file_or_a_job_has_to_be_there(on_fleet: Command, fleet: Fleet, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "out.mp4")
    missing = on_fleet("replay", "no/result.json", *out)
    assert (missing.code, "there is no file no/result.json" in missing.err) == (2, True)
    unknown = on_fleet("replay", "f" * 32, *out)
    assert (unknown.code, "there is no job" in unknown.err) == (2, True)
    waiting = on_fleet("submit", "a circle").out.strip()
    assert "wait for it first" in on_fleet("replay", waiting, *out).err
    assert "name a file in it" in on_fleet("replay", waiting, "-o", tmp_path).err
    fleet.work()
    published = on_fleet("replay", waiting, *out)  # the one that publishes says `auto`, and holds no plan
    assert (published.code, "only acceleration auto keeps one" in published.err) == (2, True)


def test_a_job_is_replayed_by_its_id(
    command: Command, replay: Callable[..., Answer], small_checkpoint: Path, fleet: Fleet, on_fleet: Command,
    manifest: dict[str, Any], tmp_path: Path,
) -> None:  # fmt: skip
    job_id = on_fleet("submit", "a circle").out.strip()
    fleet.finish(fleet.claim(), **{name: manifest[name] for name in Recipe.model_fields})
    answer = on_fleet("replay", job_id, "-o", tmp_path / "out.mp4", "--model", small_checkpoint, "--json")
    assert (answer.code, json.loads(answer.out)["same_frames"]) == (0, True)
