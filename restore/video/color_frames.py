"""From frames to smoothed ab: look, guess, smooth. What comes out for a frame depends on the film alone.

Frames go in blocks that are counted from the film's first frame, so that batches are the same wherever work begins, and
come out of windows of such blocks, each smoothed with `LEAD` frames before and after it. Work may begin at any multiple
of `WINDOW`, if it is given the `RUN_UP` frames before: a block of them to tell cuts, the others to smooth from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from restore.color import ycbcr_to_rgb
from restore.colorizers import Engine
from restore.merge import FloatArray, YuvForm, shrink_luma
from restore.threads import map_in_threads
from restore.tone import find_tone, has_color
from restore.video.continuity import Continuity
from restore.video.motion import MotionEstimator
from restore.video.reader import Frame
from restore.video.scenes import mark_cuts
from restore.video.smooth import Moment, share_kept, smooth

BLOCK = 16
# So long that what lies beyond has hardly any weight, or colours would step where windows meet.
LEAD = 2 * BLOCK
WINDOW = 3 * BLOCK
RUN_UP = LEAD + BLOCK
# Side of the frames that motion is found in and ab is smoothed at.
_SIDE = 96


@dataclass(frozen=True)
class Look:
    """A frame and how it is seen.

    Args:
        view: (S, S) luma from black to white in [0, 1], at the network's working size.
        small: (F, F) uint8, the same for motion and cuts.
        cut: it begins a scene.
        has_color: it was looked at, and is in colour already.
    """

    frame: Frame
    view: FloatArray
    small: npt.NDArray[np.uint8]
    cut: bool = False
    has_color: bool = False


@dataclass(frozen=True)
class ColoredFrame:
    """A frame, its ab (F, F, 2) in Lab units, and what the film remembers after it."""

    look: Look
    ab: FloatArray
    memory: Continuity


@dataclass(frozen=True)
class ColorSettings:
    """How frames are coloured.

    Args:
        form: of the decoded luma.
        smooth: strength in time, 0 (each frame by itself) to 1.
        stride: the network sees every so manieth frame, and each that begins a scene; 1 without smoothing.
        keep_color: scenes that are in colour already are told apart, to be left as they are.
        jobs: threads that look at frames.
    """

    form: YuvForm
    smooth: float
    stride: int
    keep_color: bool
    jobs: int


# Every so manieth frame is looked at for colour.
_TONE_STRIDE = 2
# Share of the range of Cb and Cr; about a level of 255.
_GREY_CHROMA = 0.005


def color_frames(
    frames: Iterable[Frame], engine: Engine, settings: ColorSettings, memory: Continuity | None = None
) -> Iterator[ColoredFrame]:
    """Each frame with its ab, in order.

    Args:
        memory: None at the film's start; else as it was after the run-up, whose frames come first and are left out.
    """
    lead = 0 if memory is None else LEAD
    looked = map_in_threads(lambda frame: _look(frame, engine.size, settings), frames, settings.jobs)
    marked = (replace(look, cut=cut) for look, cut in mark_cuts((look, look.small) for look in looked))
    guessed = _guess(
        islice(marked, RUN_UP - LEAD if lead else 0, None), engine, settings.stride if settings.smooth else 1
    )
    memory = memory or Continuity()
    for look, ab, color_ahead in _smooth(guessed, share_kept(settings.smooth), lead):
        if look.cut:
            memory = memory.begin(look.small, ab)
        if color_ahead and not memory.keeps:
            memory = replace(memory, keeps=True)
        yield ColoredFrame(look, memory.hold(look.small, ab) if settings.smooth else ab, memory)


def _look(frame: Frame, size: int, settings: ColorSettings) -> Look:
    view = settings.form.normalise(shrink_luma(frame.luma, size))
    small = np.asarray(cv2.resize(view, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
    has_color = settings.keep_color and frame.index % _TONE_STRIDE == 0 and in_color(frame, small, settings.form)
    return Look(frame, view, np.rint(small * 255).astype(np.uint8), has_color=has_color)


def in_color(frame: Frame, small: FloatArray, form: YuvForm) -> bool:
    """Whether a frame has colour: more than a tint.

    Args:
        small: (F, F) luma from black to white in [0, 1].
    """
    if frame.chroma is None:
        return False
    planes = [small]
    for plane in frame.chroma:
        shrunk = cv2.resize(plane, small.shape, interpolation=cv2.INTER_AREA).astype(np.float32)
        planes.append((shrunk - form.neutral) / np.float32(form.chroma_span))
    if max(np.abs(plane).max() for plane in planes[1:]) < _GREY_CHROMA:
        return False  # most frames of grey film, and a tenth of the work
    rgb = ycbcr_to_rgb(np.stack(planes), form.matrix).clip(0, 1)
    picture = Image.fromarray(np.rint(rgb.transpose(1, 2, 0) * 255).astype(np.uint8))
    return has_color(find_tone(picture))


def _guess(looks: Iterator[Look], engine: Engine, stride: int) -> Iterator[tuple[Look, FloatArray | None]]:
    """Each frame with the network's ab, or None for those that it is not asked for."""
    while block := list(islice(looks, BLOCK)):
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


def _smooth(
    guessed: Iterable[tuple[Look, FloatArray | None]], strength: float, lead: int
) -> Iterator[tuple[Look, FloatArray, bool]]:
    """Each frame with its smoothed ab, and whether it or one of the next of its scene has colour."""
    looks: list[Look] = []
    moments: list[Moment] = []
    motion = MotionEstimator(_SIDE)
    for look, guess in guessed:
        before = None
        if strength and looks and not look.cut:
            before, after = motion.between(look.small, looks[-1].small)
            moments[-1] = replace(moments[-1], from_next=after)
        looks.append(look)
        moments.append(Moment(guess, before, None))
        if len(looks) == lead + WINDOW + LEAD:
            end = lead + WINDOW
            for i, ab in enumerate(smooth(moments, strength)[lead:end], lead):
                yield looks[i], ab, _color_ahead(looks, i)
            looks, moments, lead = looks[end - LEAD :], moments[end - LEAD :], LEAD
    if len(looks) > lead:
        for i, ab in enumerate(smooth(moments, strength)[lead:], lead):
            yield looks[i], ab, _color_ahead(looks, i)


def _color_ahead(looks: list[Look], place: int) -> bool:
    for look in looks[place : place + BLOCK]:
        if look.cut and look is not looks[place]:
            return False
        if look.has_color:
            return True
    return False
