"""What a frame is within its shot: where scenes begin, which frames are disturbed, where the picture is inside its
borders, and how much light there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.framing import SIDE as LONGEST
from restore.framing import WHOLE, Area, find_area, refined
from restore.merge import FloatArray, YuvForm, reduced_luma, shrink_luma
from restore.video.exposure import EVEN, Chain, Tone, is_better, is_glaring, weight
from restore.video.reader import Frame, Plane
from restore.video.scenes import Mark, SceneState, mark_scenes

AHEAD = 16
"""Frames of a shot that are looked at beyond one, for the best exposed."""
# As many of them are looked at for the area, or a few more.
_FRAMES_OF_AREA = 8
# What lies outside of an area differs by no more, in shares of the range of luma, where it is a border still.
_EMPTY = 20 / 255
# Side of the frames that motion is found in and ab is smoothed at.
SIDE = 96


@dataclass(frozen=True)
class ShotState:
    """What is remembered after a frame.

    Args:
        area: the picture inside its borders, decided where the shot began.
        best: tone of the shot's best exposed frame so far: what the network sees.
        base: tone in which the shot's frames are compared: the best when it began.
    """

    scene: SceneState = field(default_factory=SceneState)
    chain: Chain = field(default_factory=Chain)
    area: Area = WHOLE
    best: Tone = EVEN
    base: Tone = EVEN

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {
            "scene": self.scene.as_json(),
            "chain": self.chain.as_json(),
            "area": astuple(self.area),
            "best": astuple(self.best),
            "base": astuple(self.base),
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> ShotState:
        """The inverse of `as_json`."""
        return cls(
            SceneState.from_json(facts["scene"]),
            Chain.from_json(facts["chain"]),
            Area(*facts["area"]),
            Tone(*facts["best"]),
            Tone(*facts["base"]),
        )


@dataclass(frozen=True)
class Look:
    """A frame and how it is seen.

    Args:
        view: (S, S) luma from black to white in [0, 1], at the network's working size, its exposure evened out.
        small: (96, 96) uint8, the same for motion.
        area: what of the frame these two show.
        has_color: it was looked at, and is in colour already.
        cut: it begins a scene.
        disturbed: something has happened to it; its shot goes on beside it.
        tone: what brought its luma to that of the view.
        weight: how much counts what the network says of it, above 0 to 1.
        state: of the shot, after it.
    """

    frame: Frame
    view: FloatArray
    small: npt.NDArray[np.uint8]
    area: Area = WHOLE
    has_color: bool = False
    cut: bool = False
    disturbed: bool = False
    tone: Tone = EVEN
    weight: float = 1.0
    state: ShotState = field(default_factory=ShotState)


def small_of(view: FloatArray) -> npt.NDArray[np.uint8]:
    """(96, 96) of a view."""
    small = cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small * 255), np.uint8)


def tell_shots(looks: Iterable[Look], state: ShotState, form: YuvForm, *, even: bool) -> Iterator[Look]:
    """Each look with all that is to be said of it. Holds `AHEAD` of them back, and those of `mark_scenes`.

    Args:
        state: after the frame before.
        form: of the frames' luma.
        even: exposure is evened out.
    """
    shots = _Shots(state, form, even)
    for look, mark in mark_scenes(((look, look.small) for look in looks), state.scene):
        shots.add(look, mark)
        if len(shots) > AHEAD:
            yield shots.first()
    while len(shots):
        yield shots.first()


@dataclass(frozen=True)
class _Seen:
    """A look, in its shot's area, of which is known what is to be known after the frames before it.

    Args:
        is_sound: it may be the best exposed of its shot.
    """

    look: Look
    mark: Mark
    chain: Chain
    is_sound: bool


class _Shots:
    """Frames that wait for those that follow them. Of a shot that begins, the area is told from all that wait."""

    def __init__(self, state: ShotState, form: YuvForm, even: bool) -> None:
        self._state, self._form, self._even = state, form, even
        self._area, self._chain = state.area, state.chain
        self._seen: deque[_Seen] = deque()
        # From a cut on, behind which the area is not known yet.
        self._unseen: deque[tuple[Look, Mark]] = deque()

    def __len__(self) -> int:
        return len(self._seen) + len(self._unseen)

    def add(self, look: Look, mark: Mark) -> None:
        """The next frame."""
        if mark.cut or self._unseen:
            self._unseen.append((look, mark))
        else:
            self._see(look, mark)

    def first(self) -> Look:
        """The first frame, which leaves."""
        if not self._seen:
            self._begin_shot()
        told = _told(self._seen, self._state)
        self._seen.popleft()
        self._state = told.state
        return told

    def _begin_shot(self) -> None:
        shot = [self._unseen.popleft()]
        while self._unseen and not self._unseen[0][1].cut:
            shot.append(self._unseen.popleft())
        self._area = find_shot_area([look for look, mark in shot if not mark.disturbed], self._form, self._area)
        for look, mark in shot:
            self._see(look, mark)

    def _see(self, look: Look, mark: Mark) -> None:
        if not self._area.is_whole:
            look = seen_in(look, self._area, self._form)
        if self._even:
            self._chain = self._chain.after(look.view, cut=mark.cut, disturbed=mark.disturbed)
        is_sound = not mark.disturbed and not is_glaring(look.view)
        self._seen.append(_Seen(look, mark, self._chain, is_sound))


def _told(seen: Sequence[_Seen], before: ShotState) -> Look:
    """The first of these."""
    look, mark, chain = seen[0].look, seen[0].mark, seen[0].chain
    begins = chain.stretch != before.chain.stretch
    best = chain.tone if begins else before.best
    for one in seen:
        if one.is_sound and one.chain.stretch == chain.stretch and is_better(one.chain.tone, best):
            best = one.chain.tone
    base = best if begins else before.base
    tone, in_shot = chain.tone.to(best), chain.tone.to(base)
    view = tone.of(look.view)
    return replace(
        look,
        view=view,
        small=look.small if in_shot.is_even else small_of(in_shot.of(look.view)),
        cut=mark.cut,
        disturbed=mark.disturbed,
        tone=tone,
        weight=weight(tone, view),
        state=ShotState(mark.state, chain, look.area, best, base),
    )


def seen_in(look: Look, area: Area, form: YuvForm) -> Look:
    """The same frame, of which only an area is seen."""
    view = form.normalise(shrink_luma(area.of(look.frame.luma), look.view.shape[0]))
    return replace(look, view=view, small=small_of(view), area=area)


def find_shot_area(looks: Sequence[Look], form: YuvForm, before: Area) -> Area:
    """The picture inside its borders, of a shot that begins.

    Args:
        looks: its first frames, seen whole.
        before: of the shot before, which goes on where this one is too dark to tell, and nothing lies outside.
    """
    looks = looks[:: max(1, len(looks) // _FRAMES_OF_AREA)]
    views = [form.normalise(reduced_luma(look.frame.luma, LONGEST)) for look in looks]
    area = find_area(views)
    brightest = max(range(len(views)), key=lambda number: float(views[number].mean()))
    if area.is_whole:
        return before if _is_empty_outside(before, views[brightest]) else area
    return refined(area, _at_full_depth(looks[brightest].frame.luma, form))


def _is_empty_outside(area: Area, view: FloatArray) -> bool:
    outside = np.ones(view.shape, np.bool_)
    area.of(outside)[:] = False
    values = view[outside]
    return not area.is_whole and float(np.ptp(values)) <= _EMPTY


def _at_full_depth(luma: Plane, form: YuvForm) -> Plane:
    return luma if form.depth in (8, 16) else luma << np.uint16(16 - form.depth)
