"""The engine: the unchanged pipeline's own frames, reports while it runs, and a clean pipeline however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.errors import InvalidInput, InvalidOutput, JobCancelled, OutOfMemory
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec, StepReport
from fastflow_ray.pace import Pace

MakeSpec = Callable[..., GenerationSpec]


def nobody(report: StepReport) -> None:
    """Listens to no report."""


def reference(engine: DiffusersEngine, spec: GenerationSpec) -> np.ndarray:
    """The frames of the pipeline itself, called as anybody would call it."""
    pipe = engine._pipe
    own, pipe.scheduler = pipe.scheduler, FlowMatchEulerDiscreteScheduler(shift=spec.shift)
    try:
        frames: np.ndarray = pipe(
            prompt=spec.prompt,
            negative_prompt=spec.negative_prompt,
            width=spec.width,
            height=spec.height,
            num_frames=spec.frames,
            num_inference_steps=spec.steps,
            guidance_scale=spec.guidance,
            max_sequence_length=engine.card.max_sequence_length,
            generator=torch.Generator().manual_seed(spec.seed),
        ).frames[0]
        return frames
    finally:
        pipe.scheduler = own


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_skips_the_frames_are_the_pipelines_own_bit_for_bit(
    engine: DiffusersEngine, make_spec: MakeSpec, guidance: float
) -> None:
    spec = make_spec(guidance=guidance)
    made = engine.generate(spec, FastFlow(), nobody)
    assert np.array_equal(made.frames, reference(engine, spec))
    assert made.trace.evaluated == list(range(12))
    assert made.trace.nfe == (24 if guidance > 1 else 12)


def test_frames_are_float_pictures_and_every_phase_took_time(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    made = engine.generate(make_spec(), FastFlow(), nobody)
    assert made.frames.shape == (5, 16, 32, 3)
    assert made.frames.dtype == np.float32
    assert 0.0 <= made.frames.min() < made.frames.max() <= 1.0
    assert list(made.phase_s) == ["text_encode", "sample", "decode"]
    assert min(made.phase_s.values()) > 0


def test_the_seed_is_the_noise(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    once, again, other = (engine.generate(make_spec(seed=seed), FastFlow(), nobody).frames for seed in (7, 7, 8))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_a_fastflow_that_has_learnt_skips_steps_under_the_specs_own_key(
    engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    fastflow, spec = FastFlow(), make_spec(acceleration=Acceleration.FASTFLOW)
    for _ in range(4):
        made = engine.generate(spec, fastflow, nobody)
    assert 0 < made.trace.skipped == 12 - len(made.trace.evaluated)
    assert made.trace.nfe == 2 * len(made.trace.evaluated)
    (name,) = fastflow.statistics.tables
    assert name.startswith(f"{engine.policy_key(spec)}:arms0-2-4-6:grid")
    assert engine.revision in str(engine.policy_key(spec))


def test_a_pace_is_kept_and_its_plan_makes_the_same_frames_again(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    fastflow, reports = FastFlow(), list[StepReport]()
    paced = partial(make_spec, acceleration=Acceleration.AUTO)
    engine.generate(paced(seed=8, pace=Pace(evaluations=5)), fastflow, nobody)
    made = engine.generate(paced(pace=Pace(evaluations=5)), fastflow, reports.append)
    assert len(made.trace.evaluated) == 5
    assert all(report.evaluated + report.skipped == report.step for report in reports)
    again = engine.generate(paced(pace=Pace(plan=made.trace.plan)), FastFlow(), nobody)
    assert np.array_equal(again.frames, made.frames)
    assert not np.array_equal(engine.generate(make_spec(), FastFlow(), nobody).frames, made.frames)


def test_a_pace_that_so_many_steps_cannot_have_is_refused_before_any_work(
    engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    reports, spec = list[StepReport](), make_spec(acceleration=Acceleration.AUTO, pace=Pace(evaluations=13))
    with pytest.raises(InvalidInput, match="ask for 2 to 12"):
        engine.generate(spec, FastFlow(), reports.append)
    assert not reports


def test_reports_tell_every_phase_and_every_step(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    fastflow, reports = FastFlow(), list[StepReport]()
    for _ in range(4):
        reports.clear()
        made = engine.generate(make_spec(acceleration=Acceleration.FASTFLOW), fastflow, reports.append)
    assert reports[0] == StepReport("text_encode", 0, 12)
    assert reports[1] == StepReport("sample", 0, 12)
    assert [report.step for report in reports[2:-1]] == list(range(1, 13))
    assert all(report.evaluated + report.skipped == report.step for report in reports)
    assert reports[-1] == StepReport("decode", 12, 12, len(made.trace.evaluated), made.trace.skipped)


@pytest.mark.parametrize("phase", ["text_encode", "sample", "decode"])
def test_whoever_listens_may_stop_it_and_the_pipeline_is_left_as_it_was(
    engine: DiffusersEngine, make_spec: MakeSpec, phase: str
) -> None:
    spec, reports = make_spec(), list[StepReport]()
    before, scheduler = engine.generate(spec, FastFlow(), nobody).frames, engine._pipe.scheduler

    def stop(report: StepReport) -> None:
        reports.append(report)
        if report.phase == phase:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled, match="enough"):
        engine.generate(spec, FastFlow(), stop)
    assert [report.phase for report in reports].count(phase) == 1, "it went on after it was told to stop"
    assert engine._pipe.scheduler is scheduler
    assert not engine._pipe.transformer._forward_pre_hooks
    assert np.array_equal(engine.generate(spec, FastFlow(), nobody).frames, before)


@contextmanager
def broken(parameter: torch.nn.Parameter, value: float) -> Iterator[None]:
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter.fill_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            parameter.copy_(kept)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_a_network_gone_wrong_gives_no_video(
    engine: DiffusersEngine, make_spec: MakeSpec, part: str, value: float
) -> None:
    pipe = engine._pipe
    bias = pipe.transformer.proj_out.bias if part == "transformer" else pipe.vae.decoder.conv_in.bias
    with broken(bias, value), pytest.raises(InvalidOutput):
        engine.generate(make_spec(), FastFlow(), nobody)


@pytest.mark.parametrize(
    "complaint",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 2.00 GiB.\n…"),
        MemoryError("Unable to allocate 2.00 GiB."),
    ],
)
def test_memory_that_does_not_suffice_is_an_error_that_keeps_no_tensor(
    engine: DiffusersEngine, make_spec: MakeSpec, complaint: Exception
) -> None:
    def run_out(report: StepReport) -> None:
        if report.step == 2:
            raise complaint

    with pytest.raises(OutOfMemory, match=r"small at 32x16x5: .*2.00 GiB.; use a smaller size") as caught:
        engine.generate(make_spec(), FastFlow(), run_out)
    assert caught.value.__context__ is None


def test_a_tensor_that_is_too_large_for_the_machine_is_memory_that_does_not_suffice(
    engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    def run_out(report: StepReport) -> None:
        torch.empty(2**60)

    with pytest.raises(OutOfMemory):
        engine.generate(make_spec(), FastFlow(), run_out)


def test_a_defect_is_no_lack_of_memory(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    def fail(report: StepReport) -> None:
        torch.zeros(2) @ torch.zeros(3)

    with pytest.raises(RuntimeError, match="size"):
        engine.generate(make_spec(), FastFlow(), fail)


def test_a_frugal_video_is_decoded_in_tiles_and_the_next_one_is_not(
    engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    whole, frugal, after = (
        engine.generate(make_spec(width=288, steps=4, frugal=frugal), FastFlow(), nobody)
        for frugal in (False, True, False)
    )
    assert (whole.economies, frugal.economies, after.economies) == ((), ("tiling",), ())
    assert not np.array_equal(frugal.frames, whole.frames)
    assert np.allclose(frugal.frames, whole.frames, atol=0.2)
    assert np.array_equal(after.frames, whole.frames)


def test_what_a_stopped_decoder_kept_is_given_back(engine: DiffusersEngine, make_spec: MakeSpec) -> None:
    def stop(module: object, inputs: object) -> None:
        raise JobCancelled("enough")

    vae = engine.pipe.vae
    hook = vae.decoder.conv_out.register_forward_pre_hook(stop)
    with pytest.raises(JobCancelled):
        engine.generate(make_spec(), FastFlow(), nobody)
    hook.remove()
    assert any(isinstance(kept, torch.Tensor) for kept in vae._feat_map)
    engine.free()
    assert not any(isinstance(kept, torch.Tensor) for kept in vae._feat_map)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"width": 40}, "multiples of 16 px, not 40x16"),
        ({"height": 24}, "multiples of 16 px, not 32x24"),
        ({"frames": 6}, r"4k\+1 frames, not 6"),
    ],
)
def test_sizes_the_model_cannot_decode_are_refused_before_any_work(
    engine: DiffusersEngine, make_spec: MakeSpec, change: dict[str, int], complaint: str
) -> None:
    reports = list[StepReport]()
    with pytest.raises(InvalidInput, match=complaint):
        engine.generate(make_spec(**change), FastFlow(), reports.append)
    assert not reports
