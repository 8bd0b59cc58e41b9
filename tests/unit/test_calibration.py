"""Calibration against SciPy and plain means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from restore.calibration import Calibration


@pytest.mark.parametrize("noise", [0.1, 1.0, 30.0])
def test_ranks_and_groups_are_those_of_the_pixels(noise: float) -> None:
    rng = np.random.default_rng(5)
    doubt = rng.gamma(3, 5, (7, 90, 110)).astype(np.float32)
    error = np.abs(doubt * rng.normal(1, 0.1 * noise, doubt.shape)).astype(np.float32)
    calibration = Calibration()
    for one, other in zip(doubt, error, strict=True):
        calibration.add(one, other)
    assert calibration.rank_correlation() == pytest.approx(spearmanr(doubt.ravel(), error.ravel()).statistic, abs=0.003)
    groups = calibration.groups()
    assert len(groups) == 10 and sum(group.pixels for group in groups) == doubt.size
    order = np.argsort(doubt, axis=None)
    for group, part in zip(groups, np.array_split(order, 10), strict=True):
        assert group.pixels == pytest.approx(doubt.size / 10, rel=0.15)
        assert group.stated == pytest.approx(doubt.ravel()[part].mean(), rel=0.03)
        assert group.measured == pytest.approx(error.ravel()[part].mean(), rel=0.05)
        assert group.least <= group.stated <= group.most


def test_a_model_that_is_wrong_where_it_is_sure_is_found_out() -> None:
    doubt = np.linspace(1, 40, 5000, dtype=np.float32).reshape(50, 100)
    calibration = Calibration()
    calibration.add(doubt, 45 - doubt)
    assert calibration.rank_correlation() == pytest.approx(-1, abs=0.001)
    measured = [group.measured for group in calibration.groups()]
    assert measured == sorted(measured, reverse=True)


def test_without_pixels_or_differences_there_is_no_figure() -> None:
    calibration = Calibration()
    assert calibration.groups() == [] and math.isnan(calibration.rank_correlation())
    calibration.add(np.full((4, 4), 200, np.float32), np.full((4, 4), 3, np.float32))
    assert [group.measured for group in calibration.groups()] == [3] and math.isnan(calibration.rank_correlation())
