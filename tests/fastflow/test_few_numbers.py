"""`FastFlow.sample` over samples of a single number, and under keys that are not text."""

from __future__ import annotations

import torch
from torch import Tensor

from fastflow_ray.fastflow import FastFlow
from fastflow_ray.sampling.grid import flow_sigmas

SIGMAS = flow_sigmas(12, 3.0)


def field(x: Tensor, sigma: Tensor) -> Tensor:
    return x - torch.tanh(3 * x) * (1 - sigma)


def test_a_fidelity_can_be_kept_where_a_sample_is_one_number() -> None:
    fast = FastFlow()
    for seed in range(24):
        noise = torch.randn(1, 1, generator=torch.Generator().manual_seed(seed))
        _, trace = fast.sample(field, noise, SIGMAS, fidelity_db=20)
    assert trace.skipped, "audits have measured more than 20 dB by now"


def test_a_key_of_nought_is_a_key() -> None:
    fast = FastFlow()
    for key in (0, None, ""):
        fast.sample(field, torch.ones(1, 3), SIGMAS, key=key, evaluations=6)  # type: ignore[arg-type]
    assert [name.split(":")[0] for name in fast.statistics.keys] == ["0", "1x3"]
