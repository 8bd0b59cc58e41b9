"""Temporal smoothing of ab: a motion-compensated mean over time, two-sided, so that colours do not lag behind.

Forward, each frame takes over its predecessor's colour along the motion of the luma, as far as that is to be trusted,
and adds what the network says of it; backward likewise from its successor; the two meet. A frame that the network has
not seen gets its colour from its neighbours alone.

Windows are smoothed from what goes on to them from before, and from so many frames after them: what comes out for a
frame depends on the film alone, not on where work began, so a resumed film equals an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from restore.video.motion import FloatArray, Motion

# Weight that even an untrusted neighbour has, so that a frame without a guess of its own has some colour everywhere.
_LEAST_TRUST = 1e-3


# At 1 a colour would never be forgotten.
_MOST_KEPT = 0.99


def share_kept(smooth: float) -> float:
    """How much of a colour goes on from frame to frame, for the strength of smoothing that users give, 0 to 1."""
    return min(_MOST_KEPT, 1 - (1 - smooth) ** 2.5)


@dataclass(frozen=True)
class Moment:
    """What smoothing knows of a frame.

    Args:
        guess: (F, F, 2) ab from the network, or None where it has not seen the frame.
        from_previous: warps a frame before onto this one; None at the start of a scene.
        from_next: warps a later frame onto this one; None at the end of a scene.
        weight: how much the guess counts, above 0 to 1.
        back, on: how many frames away those two are: disturbed frames are passed over.
    """

    guess: FloatArray | None
    from_previous: Motion | None
    from_next: Motion | None
    weight: float = 1.0
    back: int = 1
    on: int = 1


@dataclass(frozen=True)
class Smoothed:
    """A frame's result, (F, F, 2) ab, and what goes on to later frames: (F, F, 3) sums."""

    ab: FloatArray
    sums: FloatArray


def smooth(moments: Sequence[Moment], strength: float, before: FloatArray | None = None) -> list[Smoothed]:
    """Smooth consecutive frames.

    Args:
        strength: 0 to below 1: how much of a neighbour's weight is taken over where it is trusted entirely.
        before: sums of the frame before these that the first of them is linked to.

    Raises:
        ValueError: there is no guess at all.
    """
    shape = next((moment.guess.shape[:2] for moment in moments if moment.guess is not None), None)
    if shape is None and before is not None:
        shape = before.shape[:2]
    if shape is None:
        raise ValueError("frames without any guess can't be smoothed")
    nothing = np.zeros((*shape, 3), np.float32)
    own = [nothing if moment.guess is None else _weighted(moment.guess, moment.weight) for moment in moments]
    links = [(moment.from_previous, moment.back) for moment in moments]
    forward = _pass(own, links, strength, nothing if before is None else before)
    links = [(moment.from_next, moment.on) for moment in reversed(moments)]
    backward = _pass(own[::-1], links, strength, nothing)[::-1]
    results = []
    for mine, one, other in zip(own, forward, backward, strict=True):
        both = one + other - mine  # it is in both
        # Grey, where the frames of a scene that are here have no guess: its other frames lie outside the window.
        ab = both[..., :2] / np.maximum(both[..., 2:], np.float32(1e-12))
        results.append(Smoothed(np.asarray(ab, np.float32), one))
    return results


def _pass(
    own: Sequence[FloatArray], links: Sequence[tuple[Motion | None, int]], strength: float, before: FloatArray
) -> list[FloatArray]:
    """Running sums (F, F, 3): weight · a, weight · b, weight."""
    sums: list[FloatArray] = []
    for place, (mine, (motion, back)) in enumerate(zip(own, links, strict=True)):
        if motion is None:
            sums.append(mine)
            continue
        trust = np.maximum(motion.trust, np.float32(_LEAST_TRUST)) * np.float32(strength)
        linked = sums[place - back] if back <= place else before
        sums.append(motion.warp(linked) * trust[..., None] + mine)
    return sums


def _weighted(guess: FloatArray, weight: float) -> FloatArray:
    sums = np.concatenate((guess, np.ones((*guess.shape[:2], 1), np.float32)), axis=2)
    return sums if weight == 1 else sums * np.float32(weight)
