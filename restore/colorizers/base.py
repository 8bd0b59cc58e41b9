"""What the engine asks of a model."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class ColorModel(Protocol):
    """Anything that guesses ab from a small picture of luma."""

    name: str
    sha256: str
    working_size: int
    size_multiple: int
    """The working size has to be a multiple of this."""

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to `device` and compute in `dtype` from now on."""

    def predict(self, luma: Tensor) -> Tensor:
        """(N, 1, S, S) luma in [0, 1] on the prepared device to ab (N, 2, h, w) float32 in Lab units, h, w ≤ S."""
