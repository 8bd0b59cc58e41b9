"""What is told of frames within their shots: the area inside borders, and views of even exposure."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.framing import WHOLE, Area
from restore.merge import YuvForm, shrink_luma
from restore.video.reader import Frame
from restore.video.shots import Look, ShotState, small_of, tell_shots

FORM = YuvForm(full_range=False)
HEIGHT, WIDTH, BAR = 216, 288, 30
Luma = npt.NDArray[np.uint8]


def picture(name: str, number: int, gain: float = 1.0) -> Luma:
    """A slow pan with grain."""
    grey = cv2.resize(cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY), (420, 320)).astype(np.float32)
    grain = np.random.default_rng(number).normal(0, 3, (HEIGHT, WIDTH))
    return np.clip(16 + gain * (0.8 * grey[20:, number % 40 :][:HEIGHT, :WIDTH] + 20 + grain), 16, 235).astype(np.uint8)


def boxed(luma: Luma, level: int = 16) -> Luma:
    """With bars above and below."""
    result = luma.copy()
    result[:BAR] = result[-BAR:] = level
    return result


def told(lumas: list[Luma], state: ShotState | None = None, first: int = 0, *, even: bool = True) -> list[Look]:
    looks = []
    for index, luma in enumerate(lumas, first):
        view = FORM.normalise(shrink_luma(luma, 96))
        looks.append(Look(Frame(index, index, luma, None, False), view, small_of(view)))
    return list(tell_shots(looks, state or ShotState(), FORM, even=even))


def test_bars_are_left_out_of_the_view_and_the_area_is_decided_anew_at_a_cut_only() -> None:
    lumas = [boxed(picture("coffee", i)) for i in range(24)] + [picture("astronaut", i) for i in range(24)]
    lumas[30:40] = [boxed(luma) for luma in lumas[30:40]]  # in the second shot's middle, they may be anything
    looks = told(lumas)
    assert [look.frame.index for look in looks if look.cut] == [0, 24]
    for look in looks[:24]:
        rows, columns = look.area.box(HEIGHT, WIDTH)
        assert (rows.start, rows.stop, columns) == (BAR, HEIGHT - BAR, slice(0, WIDTH))
        inside = FORM.normalise(shrink_luma(look.frame.luma[BAR:-BAR], 96))
        assert np.array_equal(look.view, inside)
        assert np.array_equal(look.small, small_of(inside))
    assert all(look.area == WHOLE for look in looks[24:])


def test_ten_bit_luma_has_borders_as_well() -> None:
    deep = YuvForm(depth=10, full_range=False)
    luma = (boxed(picture("coffee", 0)).astype(np.uint16)) << 2
    view = deep.normalise(shrink_luma(luma, 96))
    (look,) = tell_shots([Look(Frame(0, 0, luma, None, False), view, small_of(view))], ShotState(), deep, even=True)
    assert look.area.box(HEIGHT, WIDTH)[0] == slice(BAR, HEIGHT - BAR)


def test_a_dark_shot_keeps_the_area_of_the_one_before_while_nothing_lies_outside() -> None:
    night = [boxed(np.full((HEIGHT, WIDTH), 17, np.uint8)) for _ in range(6)]
    for number, luma in enumerate(night):
        luma[100:110, 40 + number : 60 + number] = 120
    bright = [boxed(picture("coffee", i)) for i in range(10)]
    looks = told(bright + night + [picture("astronaut", i) for i in range(10)])
    assert [look.frame.index for look in looks if look.cut] == [0, 10, 16]
    assert {look.area for look in looks[:16]} == {looks[0].area} != {WHOLE}
    assert {look.area for look in looks[16:]} == {WHOLE}


def test_a_fade_in_has_the_area_and_the_exposure_of_what_follows() -> None:
    gains = np.minimum(1, np.linspace(0.05, 1.4, 14))
    looks = told([boxed(picture("coffee", i, gain)) for i, gain in enumerate(gains)])
    assert looks[0].area.box(HEIGHT, WIDTH)[0] == slice(BAR, HEIGHT - BAR)
    bright = looks[-1].view
    for look, gain in zip(looks, gains, strict=True):
        if gain > 0.3:
            assert look.tone.gain == pytest.approx(1 / gain, rel=0.15)
            assert abs(float(look.view.mean() - bright.mean())) < 0.04
    weights = [look.weight for look in looks]
    assert weights == sorted(weights) and weights[0] < 0.1 and weights[-1] == 1


def test_flicker_is_evened_out_and_not_asked_for_it_stays() -> None:
    gains = 1 + 0.3 * np.random.default_rng(5).uniform(-1, 0, 30)
    lumas = [picture("coffee", 0, gain) for gain in gains]
    for even in (True, False):
        means = [float(look.view.mean()) for look in told(lumas, even=even)]
        assert (np.ptp(means) < 0.03) == even


def test_a_better_exposed_frame_further_on_is_followed() -> None:
    """Of a fade so slow that its end is out of sight at first."""
    gains = np.minimum(1, np.linspace(0.2, 1.2, 60))
    looks = told([picture("coffee", 0, gain) for gain in gains])
    assert looks[0].tone.gain < 2.5  # as bright as the best in sight
    assert looks[-1].tone.gain > 0.78 and looks[-1].weight == 1


@pytest.mark.parametrize("start", [1, 9, 17, 24, 25, 40])
def test_going_on_from_a_state_gives_the_same(start: int) -> None:
    gains = 1 + 0.3 * np.random.default_rng(5).uniform(-1, 0, 48)
    lumas = [boxed(picture("coffee", i, gains[i])) for i in range(24)]
    lumas += [picture("astronaut", i, gains[i]) for i in range(24, 48)]
    lumas[20] = np.roll(lumas[20], 60, axis=1)
    whole = told(lumas)
    state = ShotState.from_json(json.loads(json.dumps(whole[start - 1].state.as_json())))
    for one, other in zip(whole[start:], told(lumas[start:], state, start), strict=True):
        assert (one.cut, one.disturbed, one.area, one.tone, one.weight) == (
            other.cut,
            other.disturbed,
            other.area,
            other.tone,
            other.weight,
        )
        assert np.array_equal(one.view, other.view)
    assert isinstance(state.area, Area)
