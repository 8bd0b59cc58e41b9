"""What people complain about, on pictures whose shares are known beforehand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from restore.plausibility import CHROMA_EDGES, HUE_BINS, PlausibilityMeter, jensen_shannon_distance

Ab = npt.NDArray[np.float32]


def colours(*parts: tuple[int, float, float], width: int = 1) -> Ab:
    """A column of pixels: so many of each hue (degrees) and chroma."""
    rows = [
        np.tile(np.array([math.cos(math.radians(hue)), math.sin(math.radians(hue))]) * chroma, (count, width, 1))
        for count, hue, chroma in parts
    ]
    return np.concatenate(rows).astype(np.float32)


def test_false_magenta_is_that_hue_and_chroma_where_the_original_is_nearly_grey() -> None:
    meter = PlausibilityMeter()
    original = colours((40, 90, 9.5), (60, 90, 10.5))
    # 10 of the grey ones are painted magenta, 10 too faintly, 10 in hues beside it, and 30 of those with colour.
    result = colours((5, -74, 18.5), (5, 14, 60), (10, -30, 17.5), (5, -76, 40), (5, 16, 40), (10, 0, 0))
    result = np.concatenate((result, colours((30, -30, 50), (30, 90, 50))))
    meter.add(original, result)
    scores = meter.scores()
    assert scores.false_magenta == pytest.approx(10.0)
    assert scores.magenta == pytest.approx(40.0)
    assert scores.original_magenta == 0
    assert math.isnan(scores.magenta_ratio)


def test_pictures_are_spotted_beyond_five_per_cent_of_their_own_pixels() -> None:
    meter = PlausibilityMeter()
    for false, of in ((5, 100), (6, 100), (0, 100), (1, 10)):
        meter.add(colours((of, 0, 0)), colours((false, -30, 30), (of - false, 0, 0)))
    scores = meter.scores()
    assert scores.spotted == 2
    assert scores.false_magenta == pytest.approx(100 * 12 / 310)  # over all pixels, not over pictures


def test_magenta_is_compared_with_the_originals_share() -> None:
    meter = PlausibilityMeter()
    meter.add(colours((10, -30, 30), (90, 90, 30)), colours((25, -30, 30), (75, 90, 30)))
    assert meter.scores().magenta_ratio == pytest.approx(2.5)


def test_wrong_hue_is_more_than_sixty_degrees_off_either_way_round_where_both_have_colour() -> None:
    meter = PlausibilityMeter()
    original = colours((10, 170, 20), (10, 170, 20), (10, 0, 20), (10, 0, 20), (10, 0, 14.5), (10, 0, 20), (40, 90, 50))
    result = colours((10, -131, 20), (10, -129, 20), (10, 61, 90), (10, -59, 90), (10, 180, 90), (10, 180, 14.5))
    meter.add(original, np.concatenate((result, colours((40, 90, 20)))))
    # 170° to −131° are 59° apart, to −129° 61°; 61° is too far from 0°, −59° is not; the last two are too faint.
    assert meter.scores().wrong_hue == pytest.approx(20.0)


def test_palette_distance_of_known_palettes() -> None:
    same, other, half = PlausibilityMeter(), PlausibilityMeter(), PlausibilityMeter()
    same.add(colours((50, 45, 30), (50, 200, 60)), colours((50, 200, 60), (50, 45, 30)))
    assert same.scores().palette_distance == 0  # where colours are does not count
    other.add(colours((100, 45, 30)), colours((100, 45 + 360 / HUE_BINS, 30)))
    assert other.scores().palette_distance == pytest.approx(1.0)
    half.add(colours((100, 45, 30)), colours((50, 45, 30), (50, 45, 60)))
    # p = (1, 0), q = (½, ½), m = (¾, ¼): half of log2(4/3) and half of ½·log2(2/3) + ½·log2(2).
    divergence = (math.log2(4 / 3) + (math.log2(2 / 3) + 1) / 2) / 2
    assert half.scores().palette_distance == pytest.approx(math.sqrt(divergence))


def test_hue_of_grey_is_none() -> None:
    meter = PlausibilityMeter()
    meter.add(colours((100, 10, 3.9)), colours((100, 200, 0.01)))
    assert meter.scores().palette_distance == 0
    assert np.count_nonzero(meter.palettes()) == 2


def test_every_colour_has_its_bin() -> None:
    rng = np.random.default_rng(5)
    ab = rng.uniform(-128, 128, (300, 40, 2)).astype(np.float32)
    ab[:40, 0] = [(-50, 0.0)] * 20 + [(-50, -0.0)] * 20  # both ends of the circle
    meter = PlausibilityMeter()
    meter.add(ab, ab)
    chroma, hue = np.hypot(ab[..., 0], ab[..., 1]), np.degrees(np.arctan2(ab[..., 1], ab[..., 0]))
    hue[hue == 180] = -180
    expected, _, _ = np.histogram2d(
        chroma.ravel(), hue.ravel(), (np.array([0, *CHROMA_EDGES, 1e9]), np.linspace(-180, 180, HUE_BINS + 1))
    )
    expected[0] = [expected[0].sum(), *[0] * (HUE_BINS - 1)]
    assert meter.palettes().shape == (2, 10, 20)
    assert np.array_equal(meter.palettes()[0], expected)


def test_distance_is_that_of_histograms_of_any_size() -> None:
    first, second = np.array([3, 1, 0]), np.array([30, 10, 0])
    assert jensen_shannon_distance(first, second) == 0
    assert jensen_shannon_distance(first, np.array([0, 0, 7])) == 1
    assert math.isnan(jensen_shannon_distance(first, np.zeros(3, np.int64)))


def test_merged_meters_are_one() -> None:
    rng = np.random.default_rng(1)
    pairs = [rng.normal(0, 30, (2, 50, 20, 2)).astype(np.float32) for _ in range(4)]
    whole, left, right = PlausibilityMeter(), PlausibilityMeter(), PlausibilityMeter()
    for i, (original, result) in enumerate(pairs):
        whole.add(original, result)
        (left if i < 2 else right).add(original, result)
    left.merge(right)
    assert left.scores() == whole.scores()
    assert left.pictures == 4


def test_unequal_shapes_and_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="can't be compared"):
        PlausibilityMeter().add(colours((4, 0, 0)), colours((5, 0, 0)))
    with pytest.raises(ValueError, match="no picture"):
        PlausibilityMeter().scores()
