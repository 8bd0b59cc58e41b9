"""The network's copy of a photo: faded and low-contrast scans are stretched for it, and only for it.

Dark scans are not: what the network guesses for their bright copies does not fit into their dark gamut. Over 60
validation photos at 0.35 of their luma, colourfulness fell by 6 % as they were, and by 20 % where they were stretched.
Nor are those that have no black of their own, as on a beach or in haze: docs/experiments.md has the figures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# Where sound photos have their ends: scans whose black lies higher are stretched to these.
_ENDS = (1.0, 99.0)
_BLACK, _WHITE = 0.08, 0.85
# A picture of less contrast is left alone, as it would be all grain; one of more has not faded.
_LEAST_SPAN, _MOST_SPAN = 0.06, 0.70


def network_view(small: FloatArray) -> FloatArray:
    """What the network is asked about.

    Args:
        small: (S, S) luma in [0, 1], as `restore.merge.shrink_luma` gives it.

    Returns:
        The same where black or contrast is there; else with its 1st and 99th percentiles brought to black and white.
    """
    low, high = (float(value) for value in np.percentile(small, _ENDS))
    if not _LEAST_SPAN <= high - low <= _MOST_SPAN or low <= _BLACK:
        return small
    white = max(high, _WHITE)
    stretched = (small - np.float32(low)) * np.float32((white - _BLACK) / (high - low)) + np.float32(_BLACK)
    return np.clip(stretched, 0, 1, out=stretched)
