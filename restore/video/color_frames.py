"""From frames to smoothed ab: look, tell shots, guess, smooth, hold. What comes out for a frame is the film's alone.

Frames go in blocks that are counted from the film's first frame, so that batches are the same wherever work begins, and
come out of windows of such blocks, each smoothed with `LEAD` frames after it. All that counts of the frames before is
in the memory after the last of them, so work may begin at any multiple of `WINDOW`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from restore.color import ycbcr_to_rgb
from restore.colorizers import Engine
from restore.merge import FloatArray, YuvForm, shrink_luma
from restore.options import Era
from restore.threads import map_in_threads
from restore.tone import find_tone, has_color
from restore.video.film_memory import Memory, SmoothedFrame, Trail
from restore.video.motion import Motion, MotionEstimator
from restore.video.reader import Frame
from restore.video.scenes import AHEAD as MOST_DISTURBED
from restore.video.shots import SIDE, Look, small_of, tell_shots
from restore.video.smooth import Moment, share_kept, smooth

BLOCK = 16
# Long enough that frames beyond it have hardly any weight: otherwise colours would jump where windows meet.
LEAD = 2 * BLOCK
WINDOW = 3 * BLOCK
RUN_UP = 1
"""Frames before those that work goes on with, which are read and left out: so the first of them is found."""


@dataclass(frozen=True)
class ColoredFrame:
    """A frame, its ab (F, F, 2) in Lab units, and what the film remembers after it."""

    look: Look
    ab: FloatArray
    memory: Memory


@dataclass(frozen=True)
class ColorSettings:
    """How frames are coloured.

    Args:
        form: of the decoded luma.
        smooth: strength in time, 0 (each frame by itself) to 1.
        stride: the network sees one frame in `stride`, and each that begins a scene; 1 without smoothing.
        keep_color: scenes that are in colour already are told apart, to be left as they are.
        jobs: threads that look at frames.
        era: that the film's container tells of.
    """

    form: YuvForm
    smooth: float
    stride: int
    keep_color: bool
    jobs: int
    era: Era = "period"


# One frame in this many is looked at for colour.
_TONE_STRIDE = 2
# Share of the range of Cb and Cr; about a level of 255.
_GREY_CHROMA = 0.005


def color_frames(
    frames: Iterable[Frame], engine: Engine, settings: ColorSettings, memory: Memory | None = None
) -> Iterator[ColoredFrame]:
    """Each frame with its ab, in order.

    Args:
        memory: None at the film's start; else as it was after the run-up, whose frames come first and are left out.
    """
    looked = map_in_threads(lambda frame: _look(frame, engine.size, settings), frames, settings.jobs)
    begun = islice(looked, RUN_UP if memory else 0, None)
    memory = memory or Memory()
    told = tell_shots(begun, memory.shot, settings.form, even=settings.smooth > 0)
    guessed = _guess(told, engine, settings)
    for smoothed in _smooth(guessed, share_kept(settings.smooth), memory.trail):
        ab, memory = memory.after(smoothed, hold=settings.smooth > 0)
        yield ColoredFrame(smoothed.look, ab, memory)


def _look(frame: Frame, size: int, settings: ColorSettings) -> Look:
    view = settings.form.normalise(shrink_luma(frame.luma, size))
    small = np.asarray(cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    has_color = settings.keep_color and frame.index % _TONE_STRIDE == 0 and in_color(frame, small, settings.form)
    return Look(frame, view, small_of(view), has_color=has_color)


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


def _guess(looks: Iterator[Look], engine: Engine, settings: ColorSettings) -> Iterator[tuple[Look, FloatArray | None]]:
    """Each frame with the network's ab, or None for those that it is not asked for."""
    era = engine.era_for(settings.era)
    while block := list(islice(looks, BLOCK)):
        asked = _asked(block, settings.stride) if settings.smooth else block
        eras = [era] * len(asked) if era else None
        guesses = engine.predict([look.view for look in asked], eras=eras)
        guessed = {look.frame.index: ab for look, ab in zip(asked, guesses, strict=True)}
        for look in block:
            guess = guessed.get(look.frame.index)
            yield look, None if guess is None else _enlarged(guess)


def _asked(block: list[Look], stride: int) -> list[Look]:
    """One frame in `stride`, and each that begins a scene; where such a frame is disturbed, the next one instead."""
    asked, is_due = [], False
    for look in block:
        is_due |= look.cut or look.frame.index % stride == 0
        if is_due and not look.disturbed:
            asked.append(look)
            is_due = False
    return asked


def _enlarged(ab: FloatArray) -> FloatArray:
    channels = np.ascontiguousarray(ab.transpose(1, 2, 0))
    return np.asarray(cv2.resize(channels, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.float32)


def _smooth(
    guessed: Iterable[tuple[Look, FloatArray | None]], strength: float, trail: Trail | None
) -> Iterator[SmoothedFrame]:
    """Each frame smoothed.

    Args:
        trail: what goes on from the frames before.
    """
    looks: list[Look] = []
    moments: list[Moment] = []
    chain = _Chain(None if trail is None else trail.small)
    for look, guess in guessed:
        looks.append(look)
        moments.append(Moment(guess, None, None, look.weight))
        if strength:
            chain.link(looks, moments)
        if len(looks) == WINDOW + LEAD:
            trail = yield from _smoothed(looks, moments, strength, trail, WINDOW)
            del looks[:WINDOW], moments[:WINDOW]
            chain.last -= WINDOW
    if looks:
        yield from _smoothed(looks, moments, strength, trail, len(looks))


def _smoothed(
    looks: list[Look], moments: list[Moment], strength: float, trail: Trail | None, count: int
) -> Generator[SmoothedFrame, None, Trail | None]:
    """The first `count` of them; returns what goes on from the last."""
    results = smooth(moments, strength, None if trail is None else trail.sums.astype(np.float32))
    for place, (look, result) in enumerate(zip(looks[:count], results, strict=False)):
        if strength and not look.disturbed:
            trail = Trail.of(look.small, result.sums)
        yield SmoothedFrame(look, result.ab, moments[place].guess, trail, _color_ahead(looks, place))
    return trail


class _Chain:
    """Links each frame of a scene to the one before. Disturbed frames are left out of this chain,
    and linked to their neighbours on both sides.

    Args:
        small: of the last frame that was not disturbed; None before the film's first.
    """

    def __init__(self, small: npt.NDArray[np.uint8] | None) -> None:
        self._motion = MotionEstimator(SIDE)
        self._small = small
        self.last = -1
        """Its place; below zero where it is gone already."""

    def link(self, looks: list[Look], moments: list[Moment]) -> None:
        """The last of these."""
        place, look = len(looks) - 1, looks[-1]
        if self._small is not None and not look.cut:
            before, after = self._motion.between(look.small, self._small)
            moments[place] = replace(moments[place], from_previous=before, back=place - self.last)
            if not look.disturbed:
                self._link_back(looks, moments, after)
        if not look.disturbed:
            self.last, self._small = place, look.small

    def _link_back(self, looks: list[Look], moments: list[Moment], after: Motion) -> None:
        place = len(looks) - 1
        if self.last >= 0:
            moments[self.last] = replace(moments[self.last], from_next=after, on=place - self.last)
        for passed in range(max(self.last + 1, place - MOST_DISTURBED), place):
            after, _ = self._motion.between(looks[passed].small, looks[place].small)
            moments[passed] = replace(moments[passed], from_next=after, on=place - passed)


def _color_ahead(looks: list[Look], place: int) -> bool:
    for look in looks[place : place + BLOCK]:
        if look.cut and look is not looks[place]:
            return False
        if look.has_color:
            return True
    return False
