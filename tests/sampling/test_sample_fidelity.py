"""PSNR of a sample against a reference, where there is no decoder to ask."""

from __future__ import annotations

import math

import pytest
import torch

from fastflow_ray.sampling.fidelity import sample_psnr_db


def test_the_formula_by_hand() -> None:
    reference = torch.tensor([[0.0, 2.0, 1.0, 4.0]])
    assert sample_psnr_db(reference + 0.04, reference) == pytest.approx(40.0, abs=1e-4)
    assert sample_psnr_db(reference, reference) == math.inf


@pytest.mark.parametrize("unit", [1e-30, 1e-18, 1.0, 1e18])
def test_the_unit_of_the_samples_does_not_matter(unit: float) -> None:
    reference = unit * torch.tensor([[0.0, 2.0, 1.0, 4.0]])
    assert sample_psnr_db(reference + 0.04 * unit, reference) == pytest.approx(40.0, abs=1e-4)


@pytest.mark.parametrize(("value", "shape"), [(3.0, (1, 1)), (-3.0, (1,)), (3.0, (2, 5))])
def test_where_all_values_are_the_same_their_magnitude_is_the_range(value: float, shape: tuple[int, ...]) -> None:
    reference = torch.full(shape, value)
    assert sample_psnr_db(reference + 0.03, reference) == pytest.approx(40.0, abs=1e-4)


def test_of_zeros_the_range_is_one() -> None:
    assert sample_psnr_db(torch.full((1, 4), 0.01), torch.zeros(1, 4)) == pytest.approx(40.0, abs=1e-4)
