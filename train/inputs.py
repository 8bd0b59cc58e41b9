"""From a batch of crops to what the network sees and should say."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from restore.color import lightness_from_luma, rgb_to_lab, scale_l
from train.config import TrainConfig
from train.degrade import film_luma

_SCALED_L_OF_BYTE = scale_l(lightness_from_luma(torch.arange(256) / 255))


@torch.no_grad()
def network_input(rgb: Tensor, config: TrainConfig, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Degraded, scaled L (N, 1, S, S) and clean ab (N, 2, S, S) in Lab units, on the device of `rgb`.

    Args:
        rgb: (N, 3, S, S) uint8.
        numbers: of the samples; degradation follows from them and the run's seed.
    """
    if config.degrade == 0 and rgb.device.type == "cpu":
        scaled_l = _SCALED_L_OF_BYTE[_converted(rgb, cv2.COLOR_RGB2GRAY).int()]
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
        return _converted(rgb, cv2.COLOR_RGB2Lab)[:, 1:].float() - 128
    return rgb_to_lab(rgb.float() / 255)[:, 1:]


def _converted(rgb: Tensor, code: int) -> Tensor:
    """OpenCV's conversion of (N, 3, H, W) uint8, all N as one tall picture."""
    count, _, height, width = rgb.shape
    tall = rgb.permute(0, 2, 3, 1).contiguous().numpy().reshape(count * height, width, 3)
    result = np.asarray(cv2.cvtColor(tall, code))
    return torch.from_numpy(result).reshape(count, height, width, -1).permute(0, 3, 1, 2)
