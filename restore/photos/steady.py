"""The same photo gives the same pixels, whatever its neighbours, the batch size and the number of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from restore.colorizers import Engine
from restore.colorizers.engine import find_device
from restore.options import EngineOptions

FloatArray = npt.NDArray[np.float32]


def steady(options: EngineOptions) -> EngineOptions:
    """The options with the number format fixed by what the processor has. Which of two is faster in a timing changes
    from run to run, and with it the last bits of the guesses."""
    if options.dtype is not None or find_device(options.device).type != "cpu":
        return options
    return replace(options, dtype="bfloat16" if torch.cpu._is_amx_tile_supported() else "float32")


def guess_alike(engine: Engine, lumas: Sequence[FloatArray]) -> list[FloatArray]:
    """ab of each view, as `Engine.predict` gives it for that view alone.

    On a CPU each goes alone: libraries choose other kernels for other batch sizes, whose sums round otherwise, and
    batches gain nothing there.
    """
    if engine.device != "cpu":
        return engine.predict(lumas)
    return [engine.predict([luma])[0] for luma in lumas]
