"""What a frame is within its shot: where scenes begin, which frames are disturbed, and how much light there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray
from restore.video.exposure import EVEN, Chain, Tone, is_better, is_glaring, weight
from restore.video.reader import Frame
from restore.video.scenes import Mark, SceneState, mark_scenes

AHEAD = 16
"""Frames of a shot that are looked at beyond one, for the best exposed."""
# Side of the frames that motion is found in and ab is smoothed at.
SIDE = 96


@dataclass(frozen=True)
class ShotState:
    """What is remembered after a frame.

    Args:
        best: tone of the shot's best exposed frame so far: what the network sees.
        base: tone in which the shot's frames are compared: the best when it began.
    """

    scene: SceneState = field(default_factory=SceneState)
    chain: Chain = field(default_factory=Chain)
    best: Tone = EVEN
    base: Tone = EVEN

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {
            "scene": self.scene.as_json(),
            "chain": self.chain.as_json(),
            "best": astuple(self.best),
            "base": astuple(self.base),
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> ShotState:
        """The inverse of `as_json`."""
        return cls(
            SceneState.from_json(facts["scene"]),
            Chain.from_json(facts["chain"]),
            Tone(*facts["best"]),
            Tone(*facts["base"]),
        )


@dataclass(frozen=True)
class Look:
    """A frame and how it is seen.

    Args:
        view: (S, S) luma from black to white in [0, 1], at the network's working size, its exposure evened out.
        small: (96, 96) uint8, the same for motion.
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


def tell_shots(looks: Iterable[Look], state: ShotState, *, even: bool) -> Iterator[Look]:
    """Each look with all that is to be said of it. Holds `AHEAD` frames back, and those of `mark_scenes`.

    Args:
        state: after the frame before.
        even: exposure is evened out.
    """
    chain = state.chain
    waiting: deque[_Waiting] = deque()
    for look, mark in mark_scenes(((look, look.small) for look in looks), state.scene):
        chain = chain.after(look.view, cut=mark.cut, disturbed=mark.disturbed) if even else chain
        waiting.append(_Waiting(look, mark, chain, is_sound=not mark.disturbed and not is_glaring(look.view)))
        if len(waiting) > AHEAD:
            told = _told(waiting, state)
            waiting.popleft()
            yield told
            state = told.state
    while waiting:
        told = _told(waiting, state)
        waiting.popleft()
        yield told
        state = told.state


@dataclass(frozen=True)
class _Waiting:
    """A look of which is known what is to be known of the frame by itself, and after those before it.

    Args:
        is_sound: it may be the best exposed of its shot.
    """

    look: Look
    mark: Mark
    chain: Chain
    is_sound: bool


def _told(waiting: Sequence[_Waiting], before: ShotState) -> Look:
    """The first of these."""
    look, mark, chain = waiting[0].look, waiting[0].mark, waiting[0].chain
    begins = chain.stretch != before.chain.stretch
    best = chain.tone if begins else before.best
    for one in waiting:
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
        state=ShotState(mark.state, chain, best, base),
    )
