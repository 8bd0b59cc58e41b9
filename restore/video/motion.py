"""Where each pixel of a small luma frame was in another one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# Disagreement of forward and backward flow, in pixels, up to which a pixel counts as visible in both frames.
_AGREEMENT = 1.0
_AGREEMENT_SHARE = 0.05
_AROUND = 3


@dataclass(frozen=True)
class Motion:
    """How to warp a neighbour onto a frame.

    Args:
        x, y: (F, F) float32, where in the neighbour each pixel comes from.
        trust: (F, F) float32 in [0, 1]: 0 where the pixel is hidden in the neighbour, or another luma is found there.
    """

    x: FloatArray
    y: FloatArray
    trust: FloatArray

    def warp(self, neighbour: FloatArray) -> FloatArray:
        """(F, F, C) of the neighbour as seen from the frame."""
        return np.asarray(
            cv2.remap(neighbour, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )


class MotionEstimator:
    """Dense inverse search (Kroeger et al. 2016, arXiv:1603.03590) both ways, with a forward-backward check.

    The flow sees only the film's luma, so that it never follows our colour errors. Not to be shared by threads.

    Args:
        size: side of the square luma frames.
        sigma: difference of luma, in levels of 255, over which trust falls to 1/e: as a bell curve, so that grain,
            which is a few levels at this size, hardly lowers it.
    """

    def __init__(self, size: int, sigma: float = 16.0) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._sigma = sigma
        self._y, self._x = np.mgrid[:size, :size].astype(np.float32)

    def between(self, frame: npt.NDArray[np.uint8], neighbour: npt.NDArray[np.uint8]) -> tuple[Motion, Motion]:
        """The motion that warps `neighbour` onto `frame`, and the one that warps `frame` onto `neighbour`."""
        there, back = self._calculate(frame, neighbour), self._calculate(neighbour, frame)
        return self._motion(frame, neighbour, there, back), self._motion(neighbour, frame, back, there)

    def _calculate(self, frame: npt.NDArray[np.uint8], neighbour: npt.NDArray[np.uint8]) -> FloatArray:
        return np.asarray(self._flow.calc(frame, neighbour, None), np.float32)  # type: ignore[call-overload]

    def _motion(
        self, frame: npt.NDArray[np.uint8], neighbour: npt.NDArray[np.uint8], there: FloatArray, back: FloatArray
    ) -> Motion:
        x, y = self._x + there[..., 0], self._y + there[..., 1]
        returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) + there
        allowed = _AGREEMENT + _AGREEMENT_SHARE * np.hypot(there[..., 0], there[..., 1])
        visible = np.hypot(returned[..., 0], returned[..., 1]) < allowed
        found = cv2.remap(neighbour, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # Averaged over neighbours, or grain and the flow's own rounding would look like another luma.
        difference = cv2.blur(np.subtract(frame, found, dtype=np.float32), (_AROUND, _AROUND))
        return Motion(x, y, visible * np.exp(-np.square(difference * np.float32(1 / self._sigma))))
