"""A flow of ten steps for both halves of a plan: what it is made of, and what it is expected to leave."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.planning.learned_plan import draw_up
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan

STEPS, EVALUATED = 10, (0, 1, 4, 5, 8)  # skips 2-3, 6-7 and 9
SIGMAS = flow_sigmas(STEPS, 3.0)
S = SIGMAS.double().numpy()
D = np.diff(S)


def velocities(seed: int, dim: int = 200) -> np.ndarray:
    """Of one generation, (STEPS, dim): slow waves with some roughness."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, STEPS)[:, None]
    waves = sum(rng.normal(size=dim) / k * np.sin(k * t + rng.uniform(0, 6, dim)) for k in range(1, 6))
    return waves + 0.05 * rng.normal(size=(STEPS, dim))


def products(v: np.ndarray) -> np.ndarray:
    return v @ v.T / v.shape[1]


MEAN = products(velocities(0))


def drawn(integrator: Integrator, restarts: tuple[int, ...] = ()) -> Plan:
    return draw_up(EVALUATED, integrator, MEAN, S, restarts)


def of_steps(v: Tensor, sigmas: Tensor = SIGMAS):
    """A field that has velocity v_k at step k wherever x is: no deviation grows."""
    return lambda x, sigma: v[int((sigmas == sigma).nonzero())].expand_as(x)
