"""HunyuanVideo's pipeline resumes as Wan's does, though its network sees timesteps in the dtype of the latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, HunyuanVideoPipeline, HunyuanVideoTransformer3DModel
from torch import Tensor

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.attachment import Attachment
from fastflow_ray.planning.learned_plan import draw_up

STEPS = 8


@pytest.fixture(scope="module")
def pipe() -> HunyuanVideoPipeline:
    torch.manual_seed(0)
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, patch_size=1, patch_size_t=1, guidance_embeds=True, text_embed_dim=16,
        pooled_projection_dim=8, rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    pipe = HunyuanVideoPipeline(
        text_encoder=None, tokenizer=None, transformer=transformer.eval().to(torch.bfloat16), vae=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=None, tokenizer_2=None,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def call(pipe: HunyuanVideoPipeline, **more) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    text = {"prompt_embeds": torch.randn(1, 7, 16, generator=draw), "prompt_attention_mask": torch.ones(1, 7)}
    text |= {"pooled_prompt_embeds": torch.randn(1, 8, generator=draw)}
    text = {name: tensor.bfloat16() for name, tensor in text.items()}
    negative = {f"negative_{name}": -tensor for name, tensor in text.items() if "mask" not in name}
    negative["negative_prompt_attention_mask"] = text["prompt_attention_mask"]
    size = {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": STEPS, "true_cfg_scale": 2.0}
    return pipe(**text, **negative, **size, generator=draw, output_type="latent", **more).frames


def interrupted(pipe: HunyuanVideoPipeline, run: Attachment, after: int) -> Checkpoint:
    """A checkpoint, for which the call is given up."""

    def stepped(_, index, timestep, tensors):
        if index + 1 == after:
            raise InterruptedError
        return {}

    with pytest.raises(InterruptedError):
        call(pipe, callback_on_step_end=stepped)
    return run.checkpoint()


@pytest.mark.parametrize("integrator", [None, Integrator.HALFWAY])
def test_interrupted_at_any_step_it_ends_with_the_same_bits(pipe, integrator):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=7.0)
    scheduler.set_timesteps(sigmas=np.linspace(1, 0, STEPS + 1)[:-1])
    sigmas = scheduler.sigmas.double().numpy()
    mean = torch.cov(torch.randn(STEPS, 30, generator=torch.Generator().manual_seed(1))).double().numpy() + 5
    pace = {} if integrator is None else {"plan": draw_up((0, 1, 4, 6), integrator, mean, sigmas)}
    with FastFlow(arms=(0,)).attach(pipe, "k", **pace) as run:
        expected = call(pipe)
        assert expected.dtype is torch.bfloat16
        for step in range(1, STEPS):
            run.resume(interrupted(pipe, run, step))
            assert torch.equal(call(pipe), expected), f"interrupted after {step} steps"
            assert run.trace.resumed == [step]
