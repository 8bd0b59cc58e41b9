"""Each measure against a direct computation with other tools, and against values known beforehand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio

from restore.metrics import (
    AbErrors,
    PhotoMeter,
    Rgb,
    colorfulness,
    colorfulness_abs,
    grey_of,
    measure,
    psnr,
    reduced_ab,
)


@pytest.fixture(scope="module")
def astronaut() -> Rgb:
    return np.asarray(data.astronaut(), np.uint8)


def greyed(rgb: Rgb) -> Rgb:
    return np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"), np.uint8)


def noisy(rgb: Rgb, seed: int = 0, spread: int = 30) -> Rgb:
    noise = np.random.default_rng(seed).integers(-spread, spread + 1, rgb.shape)
    return np.clip(rgb.astype(int) + noise, 0, 255).astype(np.uint8)


def test_psnr_is_that_of_skimage(astronaut: Rgb) -> None:
    other = noisy(astronaut)
    assert psnr(astronaut, other) == pytest.approx(peak_signal_noise_ratio(astronaut, other), abs=1e-9)


def test_psnr_of_large_black_and_white_is_zero_and_of_equals_infinite() -> None:
    # As large an error over as many pixels as would overflow 32 bits.
    black, white = np.zeros((600, 800, 3), np.uint8), np.full((600, 800, 3), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0.0)
    assert psnr(black, black) == math.inf


def test_pairs_that_differ_in_shape_or_depth_are_refused(astronaut: Rgb) -> None:
    with pytest.raises(ValueError, match="can't be compared"):
        psnr(astronaut, astronaut[:-1])
    with pytest.raises(ValueError, match="can't be compared"):
        PhotoMeter().add(astronaut, astronaut.astype(np.float32))


def test_colourfulness_is_the_published_formula(astronaut: Rgb) -> None:
    red, green, blue = (astronaut[..., i].astype(np.float64) for i in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = math.sqrt(rg.var() + yb.var()) + 0.3 * math.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert colorfulness(astronaut) == pytest.approx(expected, abs=1e-6)
    rg, yb = abs(rg), abs(yb)
    variant = math.sqrt(rg.var() + yb.var()) + 0.3 * math.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert colorfulness_abs(astronaut) == pytest.approx(variant, abs=1e-6)
    assert variant < expected - 1  # they are not the same


def test_colourfulness_of_grey_is_zero_and_of_plain_colour_is_its_mean_term() -> None:
    assert colorfulness(np.full((9, 7, 3), 130, np.uint8)) == 0.0
    plain = np.tile(np.array([200, 100, 50], np.uint8), (8, 8, 1))  # rg 100, yb 100
    assert colorfulness(plain) == pytest.approx(0.3 * math.hypot(100, 100))


def test_ab_is_taken_at_short_side_256_by_area_and_never_enlarged(astronaut: Rgb) -> None:
    blocks = astronaut.reshape(256, 2, 256, 2, 3).astype(np.float64).mean(axis=(1, 3))
    expected = color.rgb2lab(np.floor(blocks + 0.5) / 255)[..., 1:]
    ab = reduced_ab(astronaut)
    assert ab.shape == (256, 256, 2)
    assert abs(ab - expected).max() < 0.02
    assert reduced_ab(astronaut[:100, :300]).shape == (100, 300, 2)
    assert reduced_ab(astronaut[:512, :300]).shape == (437, 256, 2)
    assert reduced_ab(np.zeros((5000, 1, 3), np.uint8)).shape == (5000, 1, 2)


def direct_auc(original: npt.NDArray[np.float64], result: npt.NDArray[np.float64], rebalanced: bool) -> float:
    """From all pixels at once, weight by weight, as the definition reads."""
    error = np.sqrt(((original - result) ** 2).sum(axis=-1)).ravel()
    weights = np.ones_like(error)
    if rebalanced:
        bins = [tuple(pair) for pair in np.rint(original.reshape(-1, 2) / 10).astype(int)]
        share = {bin_: bins.count(bin_) / len(bins) for bin_ in set(bins)}
        weights = np.array([1 / share[bin_] for bin_ in bins])
    curve = [weights[error <= t].sum() / weights.sum() for t in range(151)]
    return float(100 * sum((left + right) / 2 for left, right in pairwise(curve)) / 150)


def test_auc_and_rmse_equal_the_direct_computation_over_several_pictures() -> None:
    rng = np.random.default_rng(3)
    # Unequal parts, so that pooling pixels and averaging pictures would differ.
    parts = [rng.normal(0, spread, (side, side, 2)).clip(-105, 105) for spread, side in ((5, 40), (35, 20), (60, 10))]
    guesses = [part + rng.normal(0, 25, part.shape) for part in parts]
    errors = AbErrors()
    for part, guess in zip(parts, guesses, strict=True):
        errors.add(part.astype(np.float32), guess.astype(np.float32))
    true = np.concatenate([part.reshape(-1, 2) for part in parts])
    guessed = np.concatenate([guess.reshape(-1, 2) for guess in guesses])
    assert errors.auc() == pytest.approx(direct_auc(true, guessed, rebalanced=False), abs=1e-3)
    assert errors.auc_rebalanced() == pytest.approx(direct_auc(true, guessed, rebalanced=True), abs=1e-3)
    assert abs(errors.auc() - errors.auc_rebalanced()) > 0.3
    assert errors.rmse() == pytest.approx(math.sqrt(((true - guessed) ** 2).mean()), rel=1e-5)


@pytest.mark.parametrize(("error", "area"), [(0.0, 100.0), (30.0, 100 * 120.5 / 150), (150.0, 50 / 150), (151.0, 0.0)])
def test_auc_of_one_constant_error(error: float, area: float) -> None:
    errors = AbErrors()
    errors.add(np.zeros((4, 4, 2), np.float32), np.full((4, 4, 2), (error, 0), np.float32))
    assert errors.auc() == pytest.approx(area)
    assert errors.rmse() == pytest.approx(error / math.sqrt(2))


def test_rebalancing_lets_a_rare_colour_weigh_as_much_as_a_common_one() -> None:
    original = np.zeros((100, 1, 2), np.float32)
    original[0] = (60, 0)
    errors = AbErrors()
    errors.add(original, np.zeros_like(original))
    rare = 100 * 90.5 / 150
    assert errors.auc() == pytest.approx(0.99 * 100 + 0.01 * rare)
    assert errors.auc_rebalanced() == pytest.approx((100 + rare) / 2)


def test_grey_is_that_of_pillow(astronaut: Rgb) -> None:
    expected = np.asarray(Image.fromarray(astronaut).convert("L"))
    assert np.array_equal(grey_of(astronaut), expected)


def test_meter_measures_the_grey_baseline_beside_the_model(astronaut: Rgb) -> None:
    coffee = np.asarray(data.coffee(), np.uint8)
    scores = measure((original, greyed(original)) for original in (astronaut, coffee))
    assert scores.count == 2
    assert scores.model == scores.grey
    assert scores.model.colorfulness == 0 == scores.colorfulness_percent
    assert scores.original_colorfulness == pytest.approx((colorfulness(astronaut) + colorfulness(coffee)) / 2)
    assert scores.grey.psnr == pytest.approx((psnr(astronaut, greyed(astronaut)) + psnr(coffee, greyed(coffee))) / 2)


def test_meter_of_a_perfect_and_of_a_noisy_result(astronaut: Rgb) -> None:
    perfect = measure([(astronaut, astronaut)])
    assert perfect.model.psnr == math.inf
    assert (perfect.model.ab_rmse, perfect.model.auc, perfect.model.auc_rebalanced) == (0.0, 100.0, 100.0)
    assert perfect.colorfulness_percent == pytest.approx(100)
    noise = measure([(astronaut, noisy(astronaut))])
    assert noise.grey == perfect.grey
    assert noise.grey.auc < noise.model.auc < 100
    assert noise.model.colorfulness == pytest.approx(colorfulness(noisy(astronaut)))


def test_meter_without_pictures_has_no_scores() -> None:
    with pytest.raises(ValueError, match="no picture"):
        PhotoMeter().scores()
