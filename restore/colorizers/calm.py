"""Less saturation where the model is unsure: `--calm`."""

from __future__ import annotations

import cv2
import numpy as np

from restore.colorizers.base import FloatArray

# Lab units of doubt at which --calm 1 halves saturation. A clear sky has about 8, a coat of any colour 40.
_HALVING = 30.0
# Doubt is blurred over this share of the picture's side, so that saturation does not jump from place to place.
_BLUR = 1 / 24


def calmed(guess: FloatArray, calm: float) -> FloatArray:
    """ab with saturation divided by 1 + calm · (doubt / 30)².

    That is how far a guess is drawn back to the mean where noise has (doubt / 30)² of the signal's power. Of what was
    tried it lost the least for the PSNR that it brought: docs/experiments.md.

    Args:
        guess: (3, h, w): a, b and doubt in Lab units.
        calm: 0 (off) to 1.

    Returns:
        (2, h, w).
    """
    doubt = cv2.GaussianBlur(np.ascontiguousarray(guess[2]), (0, 0), guess.shape[1] * _BLUR)
    return np.asarray(guess[:2] / (1 + np.float32(calm) * np.square(doubt / np.float32(_HALVING))), np.float32)
