"""A still without borders is seen and coloured as its luma alone says; views that share their halving are the same."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.colorizers import Engine
from restore.framing import WHOLE
from restore.merge import halved, merge_rgb, reduced_luma, shrink_luma, small_chroma
from restore.stills import colorize, guess, look
from restore.view import network_view

FloatArray = npt.NDArray[np.float32]


class Painter:
    """An engine that paints by brightness, and notes what it is asked at a time."""

    size = 64
    era = "period"

    def __init__(self, device: str) -> None:
        self.device = device
        self.asked: list[int] = []

    def predict(
        self, lumas: list[FloatArray], doubt: bool = False, hints: object = None, eras: object = None
    ) -> list[FloatArray]:
        self.asked.append(len(lumas))
        ab = [np.stack((30 * view[::2, ::2], -20 * view[::2, ::2])) for view in lumas]
        return [np.concatenate((one, one[:1])) for one in ab] if doubt else ab


def engine(device: str = "cpu") -> tuple[Engine, Painter]:
    painter = Painter(device)
    return cast(Engine, painter), painter


@pytest.mark.parametrize("size", [64, 192, 512])
@pytest.mark.parametrize("shape", [(2048, 3072), (1500, 2001), (1026, 1030), (300, 200), (40, 900)])
def test_views_of_a_whole_picture_are_those_of_its_luma(shape: tuple[int, int], size: int) -> None:
    luma = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    still = look(luma, size)
    assert still.area == WHOLE
    assert np.array_equal(still.small, shrink_luma(luma, size))
    assert np.array_equal(still.view, network_view(still.small))


def test_the_views_come_out_of_the_halved_copy_as_of_the_luma() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (2048, 3072), dtype=np.uint8)
    reduced = halved(luma, 256)
    assert reduced.shape == (512, 768)
    assert np.array_equal(reduced_luma(reduced, 256), reduced_luma(luma, 256))
    assert all(np.array_equal(shrink_luma(reduced, size), shrink_luma(luma, size)) for size in (64, 192, 256))
    assert reduced_luma(luma[:100, :300], 256).shape == (100, 256)


def test_a_whole_picture_is_coloured_as_its_view_says() -> None:
    luma, (colorist, _) = data.camera(), engine()
    view = shrink_luma(luma, 64)
    expected = merge_rgb(luma, small_chroma(view, colorist.predict([network_view(view)])[0], 0.8))
    assert np.array_equal(merge_rgb(luma, colorize(luma, colorist, 0.8)), expected)


def test_on_a_cpu_each_still_is_guessed_alone() -> None:
    stills = [look(picture, 64) for picture in (data.camera(), data.moon(), data.brick())]
    for device, asked in (("cpu", [1, 1, 1]), ("cuda", [3])):
        colorist, painter = engine(device)
        guesses = guess(colorist, stills, doubt=True)
        assert painter.asked == asked
        assert [one.shape for one in guesses] == [(3, 32, 32)] * 3


def test_chroma_and_doubt_lie_where_the_picture_is() -> None:
    bordered = np.pad(data.camera(), ((0, 0), (100, 100)))
    still = look(bordered, 64)
    assert still.area.box(512, 712) == (slice(0, 512), slice(100, 612))
    ab = np.full((3, 16, 16), 20, np.float32)
    assert still.chroma(ab).area == still.area
    doubt = still.doubt(ab, 256, 356)
    assert not doubt[:, :50].any() and not doubt[:, 306:].any() and np.allclose(doubt[:, 50:306], 20, atol=0.1)
