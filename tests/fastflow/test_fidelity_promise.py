"""A fidelity that is asked for is kept as often as was said, once it has been shown, and saves evaluations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_planned_sampling import SIGMAS, STEPS, MixtureFlow, noise

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.audit_need import FULL_RUNS_TO_COMPARE
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import flow_sigmas


def test_the_first_jobs_evaluate_everything_for_nothing_has_been_shown():
    fast = FastFlow()
    for job in range(FULL_RUNS_TO_COMPARE + FEWEST_TO_ASSURE):
        x, trace = fast.sample(MixtureFlow(), noise(job), SIGMAS, key="k", fidelity_db=40.0)
        assert (trace.skipped, trace.expected_db) == (0, math.inf)
    assert sample_psnr_db(x, euler(MixtureFlow(), noise(job), SIGMAS)) == math.inf


@pytest.mark.parametrize("fidelity_db", [25.0, 40.0, 55.0])
def test_soon_after_that_a_job_skips(fidelity_db):
    fast = FastFlow()
    traces = [fast.sample(MixtureFlow(), noise(job), SIGMAS, key="k", fidelity_db=fidelity_db)[1] for job in range(20)]
    assert any(trace.skipped for trace in traces)


def test_after_learning_it_is_kept_in_nineteen_of_twenty_jobs_with_less_work():
    fast, kept, evaluations = FastFlow(), [], []
    for job in range(3000, 3280):
        x, trace = fast.sample(MixtureFlow(), noise(job), SIGMAS, key="k", fidelity_db=55.0, confidence=0.95)
        if job >= 3080:
            kept.append(sample_psnr_db(x, euler(MixtureFlow(), noise(job), SIGMAS)) >= 55)
            evaluations.append(len(trace.evaluated))
    assert np.mean(kept) >= 0.95
    assert np.mean(evaluations) < 0.6 * STEPS


def test_what_cannot_be_kept_is_not_promised():
    """119 dB are more than plans keep."""
    fast, sigmas = FastFlow(), flow_sigmas(6, 3.0)
    traces = [fast.sample(MixtureFlow(), noise(job), sigmas, key="k", fidelity_db=119.0)[1] for job in range(100)]
    assert {len(trace.evaluated) for trace in traces} == {6}
    assert any(trace.nfe > 6 for trace in traces)
    assert all(trace.nfe == 6 for trace in traces[-10:]), "and the search ends"
