"""Colours that a network is told at places of the picture: how they reach an encoder's features.

After Zhang et al. 2017 (arXiv:1705.02999), who put hints and a mask beside L. Convolutions alone carry them a short way
(iColoriT, arXiv:2207.06831), so here they reach each scale, the coarsest too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.color import AB_SCALE

# What is told is made so much louder: features of an encoder that ImageNet taught have a deviation of 3 to 8 units, and
# weights that start at zero would need ten thousand steps to be heard among them.
_LOUDNESS = 8.0
_NOTHING = 1e-6  # less than any mask's mean: one pixel of 32 × 32 is a thousandth


def scaled_hints(hints: Tensor) -> Tensor:
    """(N, 3, H, W) with a and b in Lab units to what networks take."""
    return torch.cat((hints[:, :2] / AB_SCALE, hints[:, 2:]), dim=1)


def hint_pyramid(hints: Tensor, scales: int) -> list[Tensor]:
    """Hints at a half, a quarter, … of their size.

    Args:
        hints: (N, 3, H, W): a and b scaled as the network's, and a mask of 0 and 1; a and b are 0 where it is.
        scales: how many times they are halved.

    Returns:
        (N, 3, H/2, W/2) and so on: the mean of the colours that were told there, and whether there were any, so that
        one pixel in a cell says its colour as loud as many. All zero without hints.
    """
    mean, any_told = hints.float(), hints[:, 2:].float()
    levels = []
    for _ in range(scales):
        mean, any_told = F.avg_pool2d(mean, 2), F.max_pool2d(any_told, 2)
        ab = mean[:, :2] / mean[:, 2:].clamp_min(_NOTHING) * any_told
        levels.append(torch.cat((ab, any_told), dim=1))
    return levels


class HintLayers(nn.Module):
    """What hints add to features at strides 2, 4, 8, …: a 1×1 convolution each, without bias and zero at first.

    So a network that is told nothing computes exactly what it would compute without this.

    Args:
        channels: of the features, the finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, width, 1, bias=False) for width in channels])
        for layer in self.layers:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]

    def forward(self, hints: Tensor, dtype: torch.dtype) -> list[Tensor]:
        """(N, 3, H, W) to what is added to each of the features.

        Args:
            dtype: of the features.
        """
        levels = hint_pyramid(hints, len(self.layers))
        return [layer((level * _LOUDNESS).to(dtype)) for layer, level in zip(self.layers, levels, strict=True)]
