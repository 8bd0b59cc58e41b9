"""Exposure within a shot: found, evened out, and given back to the chroma."""

from __future__ import annotations

import json
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.color import cbcr_from_ab
from restore.merge import SmallChroma
from restore.video.exposure import EVEN, Chain, Tone, is_better, is_glaring, weight

FloatArray = npt.NDArray[np.float32]
SIDE = 192


def view(name: str, left: int = 0, grain: int = 0) -> FloatArray:
    grey = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)[:300, left : left + 340]
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    noise = np.random.default_rng(grain).normal(0, 0.015, small.shape)
    return np.clip(0.05 + 0.85 * small + noise, 0, 1).astype(np.float32)


def tones(views: list[FloatArray], disturbed: tuple[int, ...] = ()) -> list[Tone]:
    """From each to the exposure of the first."""
    chain, found = Chain(), []
    for number, one in enumerate(views):
        chain = chain.after(one, cut=number == 0, disturbed=number in disturbed)
        found.append(chain.tone)
    return found


def test_steady_light_is_left_as_it_is() -> None:
    assert all(tone == EVEN for tone in tones([view("coffee", grain=i) for i in range(20)]))


@pytest.mark.parametrize(("gain", "lift"), [(0.5, 0.0), (0.2, 0.0), (1.25, 0.0), (0.6, 0.25), (0.85, -0.03)])
def test_exposure_is_found(gain: float, lift: float) -> None:
    reference, changed = view("coffee"), np.clip(view("coffee", grain=1) * gain + lift, 0, 1).astype(np.float32)
    tone = tones([reference, changed])[1]
    lit = (reference > 0.1) & (reference < 0.75)
    assert np.abs(tone.of(changed) - reference)[lit].mean() < 0.02 / min(gain, 1)
    assert tone.gain == pytest.approx(1 / gain, rel=0.12)


def test_who_crosses_the_picture_is_no_change_of_light() -> None:
    views = [view("coffee", grain=i) for i in range(24)]
    for number, one in enumerate(views):
        one[40:, 8 * number : 8 * number + 60] = 0.06
    for tone in tones(views):
        assert np.abs(tone.of(views[0]) - views[0]).mean() < 0.03


def test_a_pan_is_no_change_of_light_and_a_fade_in_it_is() -> None:
    views = [view("astronaut", 4 * number, number) for number in range(40)]
    for tone in tones(views):
        assert tone.gain == pytest.approx(1, abs=0.1)
    dimmed = [one * np.float32(0.93**number) for number, one in enumerate(views)]
    for number, tone in enumerate(tones(dimmed[:25])):
        # What is seen is ever less what the light was known of.
        assert (0.93**-number) ** (0.9 if number < 12 else 0.6) * 0.95 < tone.gain < 0.93**-number * 1.15


@pytest.mark.parametrize("gain", [0.4, 0.6, 1.0])
def test_a_dissolve_leaves_the_new_picture_as_it_is(gain: float) -> None:
    """However much darker and paler it is: nothing tells that it is meant to be as bright as the one before."""
    one = [view("coffee", grain=i) for i in range(60)]
    other = [view("astronaut", grain=i) * np.float32(gain) for i in range(60)]
    parts = np.clip((np.arange(60) - 10) / 20, 0, 1).astype(np.float32)
    chain, best = Chain(), EVEN
    for number, (a, b, part) in enumerate(zip(one, other, parts, strict=True)):
        before, chain = chain, chain.after(a + (b - a) * part, cut=number == 0, disturbed=False)
        best = chain.tone if chain.stretch != before.stretch or is_better(chain.tone, best) else best
        seen = chain.tone.to(best).gain
        assert seen < 2
        if number >= 36:
            assert seen == pytest.approx(1, abs=0.15), number


def test_a_fade_to_black_goes_on_where_nothing_is_to_be_seen_any_more() -> None:
    fade = [view("coffee", grain=i) * np.float32(max(0.0, 1 - i / 20)) for i in range(24)]
    found = tones(fade, disturbed=tuple(range(20, 24)))
    gains = [tone.gain for tone in found]
    assert all(later >= 0.95 * earlier for earlier, later in pairwise(gains))
    assert gains[10] == pytest.approx(2, rel=0.1)
    assert min(gains[-4:]) > 12


def test_another_picture_has_no_exposure_in_common() -> None:
    chain = Chain().after(view("coffee"), cut=True, disturbed=False)
    assert chain.after(view("astronaut"), cut=False, disturbed=True) == chain
    other = chain.after(view("astronaut"), cut=False, disturbed=False)
    assert other.stretch == chain.stretch + 1 and other.tone == EVEN


def test_chroma_goes_back_with_the_light() -> None:
    """What R′, G′ and B′ share scales chroma by itself: the colours of the darkened frame are the darkened colours."""
    luma = np.linspace(0.1, 0.9, 64, dtype=np.float32).reshape(8, 8)
    planes = np.empty((8, 8, 4), np.float32)
    planes[..., 0::2], planes[..., 1::2] = (0.15, -0.2), (0.02, 0.05)
    tone = Tone(2.5, -0.1)
    dark = (luma - tone.lift) / tone.gain
    there, here = planes, tone.undone(SmallChroma(planes)).planes
    for gain, offset in ((0, 1), (2, 3)):
        due = (there[..., gain] * luma + there[..., offset]) / tone.gain
        assert np.allclose(here[..., gain] * dark + here[..., offset], due, atol=1e-6)
    assert EVEN.undone(SmallChroma(planes)).planes is planes


def test_hue_of_a_faded_colour_stays() -> None:
    luma = np.full((1, 4, 4), 0.6, np.float32)
    ab = np.stack((np.full((4, 4), 30), np.full((4, 4), 20))).astype(np.float32)
    cb, cr = cbcr_from_ab(luma, ab)
    planes = np.stack((0 * cb, cb, 0 * cr, cr), axis=-1)
    faded = Tone(4.0).undone(SmallChroma(planes)).planes
    assert np.allclose(faded[..., 1] / cb, 0.25) and np.allclose(faded[..., 3] / cr, 0.25)


def test_tones_have_bounds_and_small_ones_are_none() -> None:
    assert Tone(1.01, 0.002).to(EVEN) == EVEN
    assert Tone(50.0).to(EVEN).gain == 16
    assert Tone(0.1).to(EVEN).gain == 0.6
    assert Tone(2.0, 0.1).to(Tone(2.0, 0.1)) == EVEN
    assert Tone(3.0, 0.1).to(Tone(1.5)).gain == pytest.approx(2)


def test_dark_and_pale_views_count_for_less() -> None:
    clear = view("coffee")
    assert weight(EVEN, clear) == 1
    assert weight(Tone(2.0), clear) == pytest.approx(0.25)
    assert weight(EVEN, 0.1 * clear) < 0.2
    assert weight(Tone(16.0), np.zeros_like(clear)) > 0


def test_overexposed_views_are_told() -> None:
    assert not is_glaring(view("coffee"))
    assert is_glaring(np.clip(view("coffee") * 2, 0, 1))


def test_the_journal_gives_the_very_same_back() -> None:
    chain = Chain()
    for number in range(4):
        chain = chain.after(
            view("coffee", grain=number) * np.float32(1 - 0.2 * number), cut=number == 0, disturbed=False
        )
    again = Chain.from_json(json.loads(json.dumps(chain.as_json())))
    one, other = (state.after(view("coffee", grain=9), cut=False, disturbed=False) for state in (chain, again))
    assert one.tone == other.tone and one.tone != chain.tone
