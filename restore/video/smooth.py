"""Temporal smoothing of ab: a motion-compensated mean over time, two-sided, so that nothing lags behind.

Forward, each frame takes over its predecessor's colour along the motion of the luma, as far as that is to be trusted,
and adds what the network says of it; backward likewise from its successor; the two meet. A frame that the network has
not seen gets its colour from its neighbours alone.

Windows are smoothed by themselves, from frames around them: what comes out for a frame depends on the film alone, not
on where work began, so a resumed film equals an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from restore.video.motion import FloatArray, Motion

# Weight that even an untrusted neighbour has, so that a frame without a guess of its own has some colour everywhere.
_LEAST_TRUST = 1e-3


# At 1 a colour would never be forgotten.
_MOST_KEPT = 0.98


def share_kept(smooth: float) -> float:
    """How much of a colour goes on from frame to frame, for the strength of smoothing that users give, 0 to 1."""
    return min(_MOST_KEPT, 1 - (1 - smooth) ** 2)


@dataclass(frozen=True)
class Moment:
    """What smoothing knows of a frame.

    Args:
        guess: (F, F, 2) ab from the network, or None where it has not seen the frame.
        from_previous: warps the previous frame onto this one; None at the start of a scene.
        from_next: warps the next frame onto this one; None at the end of a scene.
    """

    guess: FloatArray | None
    from_previous: Motion | None
    from_next: Motion | None


def smooth(moments: Sequence[Moment], strength: float) -> list[FloatArray]:
    """Smoothed ab of consecutive frames, (F, F, 2) each.

    Args:
        strength: 0 to below 1: how much of a neighbour's weight is taken over where it is trusted entirely.

    Raises:
        ValueError: there is no guess at all.
    """
    shape = next((moment.guess.shape[:2] for moment in moments if moment.guess is not None), None)
    if shape is None:
        raise ValueError("frames without any guess can't be smoothed")
    nothing = np.zeros((*shape, 3), np.float32)
    forward = _pass(moments, [moment.from_previous for moment in moments], strength, nothing)
    backward = _pass(moments[::-1], [moment.from_next for moment in reversed(moments)], strength, nothing)[::-1]
    results = []
    for moment, one, other in zip(moments, forward, backward, strict=True):
        both = one + other
        if moment.guess is not None:
            both -= _weighted(moment.guess)  # it is in both
        # Grey, where the frames of a scene that are here have no guess: its other frames lie outside the window.
        results.append(both[..., :2] / np.maximum(both[..., 2:], np.float32(1e-12)))
    return results


def _pass(
    moments: Sequence[Moment], motions: Sequence[Motion | None], strength: float, nothing: FloatArray
) -> list[FloatArray]:
    """Running sums (F, F, 3): weight · a, weight · b, weight."""
    sums: list[FloatArray] = []
    for moment, motion in zip(moments, motions, strict=True):
        total = nothing
        if motion is not None and sums:
            trust = np.maximum(motion.trust, np.float32(_LEAST_TRUST)) * np.float32(strength)
            total = motion.warp(sums[-1]) * trust[..., None]
        if moment.guess is not None:
            total = total + _weighted(moment.guess)
        sums.append(total)
    return sums


def _weighted(guess: FloatArray) -> FloatArray:
    return np.concatenate((guess, np.ones((*guess.shape[:2], 1), np.float32)), axis=2)
