"""From a batch of crops to what the network sees and should say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.color import lightness_from_luma, rgb_to_lab, scale_l
from train.config import TrainConfig
from train.degrade import film_luma

_SCALED_L_OF_BYTE = scale_l(lightness_from_luma(torch.arange(256) / 255)).numpy()


@torch.no_grad()
def network_input(rgb: Tensor, config: TrainConfig, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Degraded, scaled L (N, 1, S, S) and clean ab (N, 2, S, S) in Lab units, on the device of `rgb`.

    Args:
        rgb: (N, 3, S, S) uint8.
        numbers: of the samples; degradation follows from them and the run's seed.
    """
    if config.degrade == 0 and rgb.device.type == "cpu":
        grey = cv2.cvtColor(_tall(rgb), cv2.COLOR_RGB2GRAY)
        scaled_l = _batched(cv2.LUT(grey, _SCALED_L_OF_BYTE), rgb)
    else:
        seeds = [config.seed * 1_000_000_007 + number for number in numbers]
        scaled_l = scale_l(lightness_from_luma(film_luma(rgb.float() / 255, config.degrade, seeds)))
    return scaled_l.contiguous(memory_format=torch.channels_last), clean_ab(rgb)


def clean_ab(rgb: Tensor) -> Tensor:
    """ab (N, 2, S, S) in Lab units of (N, 3, S, S) uint8.

    On a CPU by OpenCV's tables, in whole units, 0.3 from the exact values on average and 2.5 at most (where nearly
    black): thirty times as fast, and much finer than the bins of ten units.
    """
    if rgb.device.type == "cpu":
        _, a, b = cv2.split(cv2.cvtColor(_tall(rgb), cv2.COLOR_RGB2Lab))
        return torch.cat([_batched(plane.astype(np.float32) - 128, rgb) for plane in (a, b)], dim=1)
    return rgb_to_lab(rgb.float() / 255)[:, 1:]


def _tall(rgb: Tensor) -> npt.NDArray[np.uint8]:
    """(N, 3, H, W) as one picture of N · H rows, which OpenCV converts in one go."""
    count, _, height, width = rgb.shape
    return rgb.permute(0, 2, 3, 1).contiguous().numpy().reshape(count * height, width, 3)


def _batched(tall: npt.NDArray[Any], rgb: Tensor) -> Tensor:
    """The inverse for one channel: (N · H, W) to (N, 1, H, W)."""
    return torch.from_numpy(np.asarray(tall)).reshape(len(rgb), 1, *rgb.shape[2:])
