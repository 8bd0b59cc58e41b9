"""From frames to smoothed ab: look, guess, smooth. What comes out for a frame depends on the film alone.

Frames go in blocks that are counted from the film's first frame, so that batches are the same wherever work begins, and
come out of windows of such blocks, each smoothed with `LEAD` frames before and after it. Work may begin at any multiple
of `WINDOW`, if it is given the `LEAD` frames before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from restore.colorizers import Engine
from restore.merge import FloatArray, YuvForm, shrink_luma
from restore.threads import map_in_threads
from restore.video.motion import MotionEstimator
from restore.video.reader import Frame
from restore.video.scenes import mark_cuts
from restore.video.smooth import Moment, smooth

LEAD = 16
WINDOW = 3 * LEAD
# Side of the frames that motion is found in and ab is smoothed at.
_SIDE = 96


@dataclass(frozen=True)
class Look:
    """A frame and how it is seen.

    Args:
        view: (S, S) luma from black to white in [0, 1], at the network's working size.
        small: (F, F) uint8, the same for motion and cuts.
        cut: it begins a scene.
    """

    frame: Frame
    view: FloatArray
    small: npt.NDArray[np.uint8]
    cut: bool = False


@dataclass(frozen=True)
class ColoredFrame:
    """A frame and its ab, (F, F, 2) in Lab units."""

    look: Look
    ab: FloatArray


@dataclass(frozen=True)
class ColorSettings:
    """How frames are coloured.

    Args:
        form: of the decoded luma.
        smooth: strength in time, 0 (each frame by itself) to 1.
        stride: the network sees every so manieth frame, and each that begins a scene; 1 without smoothing.
        jobs: threads that look at frames.
    """

    form: YuvForm
    smooth: float
    stride: int
    jobs: int


# At 1 a colour would never be forgotten.
_STRONGEST = 0.95


def color_frames(
    frames: Iterable[Frame], engine: Engine, settings: ColorSettings, lead: int = 0
) -> Iterator[ColoredFrame]:
    """Each frame with its ab, in order, but for the first `lead`, which only lead in."""
    looked = map_in_threads(lambda frame: _look(frame, engine.size, settings.form), frames, settings.jobs)
    marked = (replace(look, cut=cut) for look, cut in mark_cuts((look, look.small) for look in looked))
    guessed = _guess(marked, engine, settings.stride if settings.smooth else 1)
    if settings.smooth:
        yield from _smooth(guessed, settings.smooth * _STRONGEST, lead)
    else:
        for number, (look, guess) in enumerate(guessed):
            if number >= lead and guess is not None:
                yield ColoredFrame(look, guess)


def _look(frame: Frame, size: int, form: YuvForm) -> Look:
    view = form.normalise(shrink_luma(frame.luma, size))
    small = cv2.resize(view, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return Look(frame, view, np.rint(small * 255).astype(np.uint8))


def _guess(looks: Iterator[Look], engine: Engine, stride: int) -> Iterator[tuple[Look, FloatArray | None]]:
    """Each frame with the network's ab, or None for those that it is not asked for."""
    while block := list(islice(looks, LEAD)):
        asked = [look for look in block if look.cut or look.frame.index % stride == 0]
        guesses = {
            look.frame.index: ab for look, ab in zip(asked, engine.predict([look.view for look in asked]), strict=True)
        }
        for look in block:
            guess = guesses.get(look.frame.index)
            yield look, None if guess is None else _enlarged(guess)


def _enlarged(ab: FloatArray) -> FloatArray:
    channels = np.ascontiguousarray(ab.transpose(1, 2, 0))
    return np.asarray(cv2.resize(channels, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.float32)


def _smooth(guessed: Iterable[tuple[Look, FloatArray | None]], strength: float, lead: int) -> Iterator[ColoredFrame]:
    looks: list[Look] = []
    moments: list[Moment] = []
    motion = MotionEstimator(_SIDE)
    for look, guess in guessed:
        before = None
        if looks and not look.cut:
            before, after = motion.between(look.small, looks[-1].small)
            moments[-1] = replace(moments[-1], from_next=after)
        looks.append(look)
        moments.append(Moment(guess, before, None))
        if len(looks) == lead + WINDOW + LEAD:
            end = lead + WINDOW
            for i, ab in enumerate(smooth(moments, strength)[lead:end], lead):
                yield ColoredFrame(looks[i], ab)
            # Moments weigh little, but their motion across the new beginning must not be used: a resumed run has none.
            looks, moments, lead = looks[end - LEAD :], moments[end - LEAD :], LEAD
    if len(looks) > lead:
        for look, ab in list(zip(looks, smooth(moments, strength), strict=True))[lead:]:
            yield ColoredFrame(look, ab)
