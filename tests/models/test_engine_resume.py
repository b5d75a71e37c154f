"""The engine gives a checkpoint with a report, and goes on from one: the frames of a generation never interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from interruption import assert_same, nobody, stopped_after, taught

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import Draining, UnusableCheckpoint
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec, StepReport
from fastflow_ray.models.loading import load_engine
from fastflow_ray.pace import Pace

MakeSpec = Callable[..., GenerationSpec]
AUTO = {"acceleration": Acceleration.AUTO, "pace": Pace(evaluations=5)}


@pytest.mark.parametrize("mode", [{}, {"acceleration": Acceleration.FASTFLOW}, AUTO], ids=["off", "fastflow", "auto"])
def test_the_frames_are_those_of_a_generation_never_interrupted(
    engine: DiffusersEngine, make_spec: MakeSpec, mode: dict[str, object]
) -> None:
    spec = make_spec(**mode)
    fastflow = taught(engine, spec, 3)
    statistics = fastflow.take_delta()
    expected = engine.generate(spec, FastFlow(statistics=statistics), nobody)
    assert expected.trace.skipped > 0 or not mode
    for step in (1, 5, 11):
        checkpoint = stopped_after(engine, spec, FastFlow(statistics=statistics), step)
        made = engine.generate(spec, FastFlow(), nobody, resume=checkpoint)
        assert_same(made, expected)
        assert made.trace.resumed == [step]


@pytest.mark.timeout(300)
def test_the_embedded_model_goes_on_to_the_same_frames() -> None:
    engine = load_engine("shapes", device="cpu")
    size = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 10, "guidance": 3.0, "shift": 3.0, "seed": 7}
    spec = GenerationSpec("a small red circle moving left on a navy background", "", **size, **AUTO)  # type: ignore[arg-type]
    statistics = taught(engine, spec, 1).take_delta()
    expected = engine.generate(spec, FastFlow(statistics=statistics), nobody)
    assert expected.trace.skipped > 0
    for step in (3, 6):
        checkpoint = stopped_after(engine, spec, FastFlow(statistics=statistics), step)
        assert_same(engine.generate(spec, FastFlow(), nobody, resume=checkpoint), expected)


def test_reports_go_on_where_the_checkpoint_was_taken(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(**AUTO)
    statistics = taught(engine, spec, 2).take_delta()
    checkpoint = stopped_after(engine, spec, FastFlow(statistics=statistics), 7)
    whole: list[StepReport] = []
    engine.generate(spec, FastFlow(statistics=statistics), whole.append)
    rest: list[StepReport] = []
    engine.generate(spec, FastFlow(), rest.append, resume=checkpoint)
    assert [(report.phase, report.step) for report in rest] == [
        ("text_encode", 0), ("sample", 0), *(("sample", step) for step in range(8, 13)), ("decode", 12),
    ]  # fmt: skip
    assert rest[2:] == [replace(report, resumed_at=7) for report in whole[9:]]
    may_checkpoint = {report.step for report in whole if report.checkpoint is not None}
    assert may_checkpoint == set(range(1, 12)), "there is nothing to go on from before and after"


def test_random_numbers_go_on_where_they_were(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    """Should a pipeline draw between its steps: here somebody draws once, before the checkpoint."""
    spec, drawn = make_spec(), []
    arguments = engine.arguments

    def watched(spec: GenerationSpec) -> dict[str, object]:
        drawn.append(arguments(spec))
        return drawn[-1]

    engine.arguments = watched  # type: ignore[method-assign]
    try:

        def draw_and_leave(report: StepReport) -> None:
            if report.step == 3:
                torch.rand(5, generator=drawn[-1]["generator"])
                taken.append(report.checkpoint())  # type: ignore[misc]
                raise Draining

        taken: list[Checkpoint] = []
        with pytest.raises(Draining):
            engine.generate(spec, FastFlow(), draw_and_leave)
        engine.generate(spec, FastFlow(), nobody, resume=taken[0])
    finally:
        del engine.arguments  # type: ignore[method-assign]
    before, after = (torch.rand(1, generator=arguments["generator"]) for arguments in drawn)
    assert torch.equal(before, after)


def test_a_checkpoint_of_other_numbers_is_refused_and_the_engine_goes_on(
    engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    checkpoint = stopped_after(engine, make_spec(), FastFlow(), 3)
    expected = engine.generate(make_spec(), FastFlow(), nobody)
    for change in ({"steps": 13}, {"shift": 4.0}, {"width": 48}, {"acceleration": Acceleration.FASTFLOW}, AUTO):
        with pytest.raises(UnusableCheckpoint):
            engine.generate(make_spec(**change), FastFlow(), nobody, resume=checkpoint)
    assert_same(engine.generate(make_spec(), FastFlow(), nobody), expected)
