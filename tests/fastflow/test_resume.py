"""A pipeline call interrupted at any step and gone on with by another pipeline: the bits of one that was not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from small_wan import STEPS, call, count_calls, one_expert, two_experts
from torch import Tensor

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.bandit.policy_key import PolicyKey
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.checkpoints.blob import read_checkpoint, write_checkpoint
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.checkpoints.passport import Passport
from fastflow_ray.errors import UnusableCheckpoint
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.learned_plan import draw_up
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.trace import Trace

KEY = "k"
PASSPORT = Passport.of("job-1", "a" * 64, "spec", "small", "0123456789ab", {})
MODES = {"off": {}, "fastflow": {}, "auto": {"evaluations": 5}, "promised": {"fidelity_db": 20.0}}


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture(scope="module")
def learnt(components) -> Statistics:
    """What some calls teach, of both ways of skipping."""
    fastflow, pipe = FastFlow(), one_expert(copy.deepcopy(components))
    for pace in ({}, {"evaluations": 6}):
        with fastflow.attach(pipe, KEY + "".join(pace), **pace):
            for seed in range(4):
                call(pipe, latents=torch.randn((1, 16, 2, 4, 4), generator=torch.Generator().manual_seed(seed)))
    return fastflow.statistics


class Stop(Exception):
    """The worker has to leave."""


def by_way_of_a_file(checkpoint: Checkpoint) -> Checkpoint:
    return read_checkpoint(write_checkpoint(checkpoint, PASSPORT), PASSPORT)


class Worker:
    """A process: a pipeline and a facade of its own, that know what the fleet knew when it began."""

    def __init__(self, make, components, dtype: torch.dtype, statistics: Statistics | None, arms=(0, 2, 4, 6)) -> None:
        self.pipe = make(copy.deepcopy(components))
        for name in ("transformer", "transformer_2", "text_encoder"):
            if (part := getattr(self.pipe, name, None)) is not None:
                part.to(dtype)
        self.fastflow = FastFlow(arms=arms, statistics=statistics)
        self.key: PolicyKey | None = None  # else its text is made up
        self.ran = count_calls(self.pipe.transformer)

    def run(
        self, pace, stop: int | None = None, resume: Checkpoint | None = None, at: Callable = lambda taken: None, **more
    ) -> tuple[Tensor | Checkpoint, Trace]:
        """The latents; or a checkpoint, if it has to stop after so many steps of the grid."""

        def stepped(pipe, index, timestep, tensors):
            if run.trace.resumed and index < run.trace.resumed[-1]:
                return {}
            if index + 1 < STEPS:
                at(checkpoint := by_way_of_a_file(run.checkpoint()))
            if index + 1 == stop:
                raise Stop(checkpoint)
            return {}

        with self.fastflow.attach(self.pipe, self.key or KEY + "".join(pace), **pace) as run:
            if resume is not None:
                run.resume(resume)
            try:
                return call(self.pipe, callback_on_step_end=stepped, **more), run.trace
            except Stop as stopped:
                return stopped.args[0], run.trace

    def checkpoints(self, pace) -> list[Checkpoint]:
        """One after every step but the last."""
        taken: list[Checkpoint] = []
        self.run(pace, at=taken.append)
        assert [checkpoint.step for checkpoint in taken] == list(range(1, STEPS))
        return taken


def arms_of(mode: str) -> tuple[int, ...]:
    return (0,) if mode == "off" else (0, 2, 4, 6)


@pytest.mark.parametrize("make", [one_expert, two_experts])
@pytest.mark.parametrize("mode", ["off", "fastflow", "auto"])
def test_interrupted_at_any_step_it_ends_with_the_same_bits(components, learnt, make, mode, dtype):
    statistics = None if mode == "off" else learnt
    pace, arms = MODES[mode], arms_of(mode)
    expected, spec = Worker(make, components, dtype, statistics, arms).run(pace)
    assert spec.skipped > 0 or mode == "off"
    checkpoints = Worker(make, components, dtype, statistics, arms).checkpoints(pace)
    other = Worker(make, components, dtype, None, arms)
    for checkpoint in checkpoints:
        other.fastflow.forget_delta()
        other.fastflow.adopt(Statistics())  # the fleet may know something else by now, or nothing any more
        ran_before = len(other.ran)
        latents, trace = other.run(pace, resume=checkpoint, latents=torch.zeros(1, 16, 2, 4, 4))
        assert torch.equal(latents, expected), f"interrupted after {checkpoint.step} steps"
        assert trace.resumed == [checkpoint.step]
        assert replace(trace, resumed=[]) == spec, "evaluations are counted once, decisions are the same"
        if make is one_expert:
            nfe_before = checkpoint.machine.facts["trace"]["nfe"]
            assert len(other.ran) - ran_before == trace.nfe - nfe_before, "nothing is evaluated again"


@pytest.mark.parametrize("integrator", list(Integrator))
def test_whatever_a_plan_does_about_its_skips_it_is_gone_on_with(components, learnt, integrator, dtype):
    table = learnt.trajectories[next(iter(learnt.trajectories))]
    sigmas = flow_sigmas(STEPS, 3.0).double().numpy()
    pace = {"plan": draw_up((0, 1, 4, 5, 9), integrator, table.products.mean, sigmas)}
    expected, spec = Worker(one_expert, components, dtype, None).run(pace)
    other = Worker(one_expert, components, dtype, None)
    for checkpoint in Worker(one_expert, components, dtype, None).checkpoints(pace):
        latents, trace = other.run(pace, resume=checkpoint)
        assert torch.equal(latents, expected)
        assert trace.evaluated == spec.evaluated == [0, 1, 4, 5, 9]


def test_interrupted_again_and_again(components, learnt, dtype):
    expected, spec = Worker(one_expert, components, dtype, learnt).run(MODES["auto"])
    checkpoint = None
    for step in (1, 3, 4, 8, 11):
        checkpoint, _ = Worker(one_expert, components, dtype, learnt).run(MODES["auto"], stop=step, resume=checkpoint)
    latents, trace = Worker(one_expert, components, dtype, None).run(MODES["auto"], resume=checkpoint)
    assert torch.equal(latents, expected)
    assert trace.resumed == [1, 3, 4, 8, 11]
    assert (trace.nfe, trace.evaluated) == (spec.nfe, spec.evaluated)


@pytest.mark.parametrize("mode", ["fastflow", "auto"])
@pytest.mark.parametrize("step", [2, 6, 10])
def test_both_halves_teach_once_and_what_the_whole_teaches(components, learnt, mode, step):
    whole, first, second = (Worker(one_expert, components, torch.float32, learnt) for _ in range(3))
    whole.run(MODES[mode])
    checkpoint, _ = first.run(MODES[mode], stop=step)
    delta, known = whole.fastflow.take_delta().to_json(), whole.fastflow.statistics.to_json()
    for other in (first, second):  # gone on with by the worker itself, which begins so, or by another
        other.fastflow.forget_delta()
        other.fastflow.adopt(learnt)
        other.run(MODES[mode], resume=checkpoint)
        assert other.fastflow.take_delta().to_json() == delta
        assert other.fastflow.statistics.to_json() == known


def test_a_first_generation_of_a_key_goes_on_as_one(components):
    """It evaluates everything, to learn from; in FastFlow it sets the scale."""
    for mode in ("fastflow", "auto", "promised"):
        whole, first, second = (Worker(one_expert, components, torch.float32, None) for _ in range(3))
        expected, _ = whole.run(MODES[mode])
        latents, trace = second.run(MODES[mode], resume=first.run(MODES[mode], stop=5)[0])
        assert torch.equal(latents, expected)
        assert trace.skipped == 0
        assert second.fastflow.take_delta().to_json() == whole.fastflow.take_delta().to_json()


def test_a_plan_lent_by_a_neighbour_is_gone_on_with(components, learnt):
    (table,) = learnt.trajectories.values()
    own, lender = (PolicyKey("m", "r", STEPS, 3.0, guidance, 32, 32, 5) for guidance in (3.0, 9.0))
    statistics = Statistics(trajectories={f"{lender}:grid{table.grid}": table})
    whole, first, second = (Worker(one_expert, components, torch.float32, s) for s in (statistics, statistics, None))
    whole.key = first.key = second.key = own
    expected, spec = whole.run(MODES["auto"])
    assert "lent by" in spec.snapshot
    latents, trace = second.run(MODES["auto"], resume=first.run(MODES["auto"], stop=6)[0])
    assert torch.equal(latents, expected)
    assert (trace.snapshot, trace.expected_db) == (spec.snapshot, spec.expected_db)


def test_what_was_added_on_the_way_stays_added(components, learnt):
    """A prompt unlike those the plan was learnt from leaves its band."""
    (name,), pace = learnt.trajectories, {"evaluations": 8}  # to which two may be added
    table = copy.deepcopy(learnt.trajectories[name])
    table.products.sums *= 1e-4  # all errors are expected to be a hundredth
    statistics = Statistics(trajectories={name: table})
    expected, spec = Worker(one_expert, components, torch.float32, statistics).run(pace)
    assert len(spec.added) > 1
    other = Worker(one_expert, components, torch.float32, None)
    for checkpoint in Worker(one_expert, components, torch.float32, statistics).checkpoints(pace):
        latents, trace = other.run(pace, resume=checkpoint)
        other.fastflow.forget_delta()
        other.fastflow.adopt(Statistics())
        assert torch.equal(latents, expected)
        assert (trace.added, trace.plan) == (spec.added, spec.plan)


def test_the_next_call_begins_anew_and_has_its_trial_again(components, learnt):
    worker = Worker(one_expert, components, torch.float32, learnt)
    checkpoint, _ = worker.run(MODES["auto"], stop=5)
    with worker.fastflow.attach(worker.pipe, KEY + "evaluations", **MODES["auto"]) as run:
        run.resume(checkpoint)
        resumed = call(worker.pipe)
        assert run.trial is None, "the audit of a resumed job is left out"
        assert run.trace.resumed == [5]
        assert not torch.equal(call(worker.pipe, latents=torch.randn(1, 16, 2, 4, 4)), resumed)
        assert run.trial is not None
        assert run.trace.resumed == []


@pytest.mark.parametrize(
    "change",
    [
        {"grid": "ffffffffffff"},
        {"latents": torch.zeros(1, 16, 2, 4, 5)},
        {"policy": {}},
        {"policy": {"origin": {}, "lender": None, "added": []}},
        {"policy": {"origin": None, "lender": None, "added": ["x"]}},
    ],
)
def test_a_checkpoint_of_something_else_is_refused(components, learnt, change):
    worker = Worker(one_expert, components, torch.float32, learnt)
    checkpoint, _ = worker.run(MODES["auto"], stop=5)
    with pytest.raises(UnusableCheckpoint):
        worker.run(MODES["auto"], resume=replace(checkpoint, **change))
    assert worker.run(MODES["auto"])[1].resumed == [], "and the pipeline is as it was"


def test_a_checkpoint_of_another_kind_or_grid_is_refused(components, learnt):
    worker = Worker(one_expert, components, torch.float32, learnt)
    planned, decided = (worker.run(MODES[mode], stop=5)[0] for mode in ("auto", "fastflow"))
    for mode, checkpoint in (("fastflow", planned), ("auto", decided)):
        with pytest.raises(UnusableCheckpoint):
            worker.run(MODES[mode], resume=checkpoint)
    with pytest.raises(UnusableCheckpoint, match="another grid"):
        worker.run(MODES["auto"], resume=planned, num_inference_steps=STEPS + 1)
