"""The same photo gives the same pixels, whatever its neighbours, the batch size and the number of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from restore.colorizers import Engine

FloatArray = npt.NDArray[np.float32]


def guess_alike(engine: Engine, lumas: Sequence[FloatArray], doubt: bool = False) -> list[FloatArray]:
    """ab of each view, and doubt where it is asked for, as `Engine.predict` gives it for that view alone.

    On a CPU each goes alone: libraries choose other kernels for other batch sizes, whose sums round otherwise, and
    batches gain nothing there.
    """
    if engine.device != "cpu":
        return engine.predict(lumas, doubt)
    return [engine.predict([luma], doubt)[0] for luma in lumas]
