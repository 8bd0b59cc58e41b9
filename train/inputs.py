"""From a batch of crops to what the network sees and should say."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from restore.color import lightness_from_luma, rgb_to_lab, scale_l
from restore.threads import map_in_threads, processors
from train.config import TrainConfig
from train.degrade import film_luma, grey
from train.wear import framed, worn

_L_OF_BYTE, _L_OF_STEP = (scale_l(lightness_from_luma(torch.arange(n) / (n - 1))).numpy() for n in (256, 4096))
_PICTURES_A_THREAD = 4  # to hand over fewer takes as long as they do


@torch.no_grad()
def network_input(rgb: Tensor, config: TrainConfig, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Degraded, scaled L (N, 1, S, S) and clean ab (N, 2, S, S) in Lab units, on the device of `rgb`.

    Args:
        rgb: (N, 3, S, S) uint8.
        numbers: of the samples; degradation follows from them and the run's seed.
    """
    on_cpu = rgb.device.type == "cpu"
    seeds, wear = [config.seed * 1_000_000_007 + number for number in numbers], config.degrade * config.wear
    if wear:
        rgb = framed(rgb, wear, seeds)
    if config.degrade == 0 and on_cpu:
        luma = grey(rgb)  # (N·S, S) for OpenCV, whose look-up is five times as fast as NumPy's
        scaled_l = torch.from_numpy(cv2.LUT(luma.numpy().reshape(-1, luma.shape[-1]), _L_OF_BYTE)).reshape(luma.shape)
    else:
        luma = film_luma(rgb, config.degrade, seeds)
        luma = worn(luma, wear, seeds) if wear else luma
        scaled_l = _by_table(luma) if on_cpu else scale_l(lightness_from_luma(luma))
    return scaled_l.contiguous(memory_format=torch.channels_last), clean_ab(rgb)


def _by_table(luma: Tensor) -> Tensor:
    """Scaled L of luma in [0, 1], in 4,096 steps: at most 0.0003 off, and five times as fast as the powers."""
    steps = cv2.multiply(luma.flatten().numpy(), len(_L_OF_STEP) - 1, dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return torch.from_numpy(_L_OF_STEP.take(steps)).reshape(luma.shape)


def clean_ab(rgb: Tensor) -> Tensor:
    """ab (N, 2, S, S) in Lab units of (N, 3, S, S) uint8.

    On a CPU by OpenCV's tables, in whole units, 0.3 from the exact values on average and 2.5 at most (where nearly
    black): thirty times as fast, and much finer than the bins of ten units.
    """
    if rgb.device.type != "cpu":
        return rgb_to_lab(rgb.float() / 255)[:, 1:]
    ab = np.empty((len(rgb), 2, *rgb.shape[2:]), np.float32)
    pictures = rgb.permute(0, 2, 3, 1).contiguous().numpy()

    def convert(first: int) -> None:
        part = slice(first, first + _PICTURES_A_THREAD)
        # One picture after the other, because each of its forms fits into the processor's cache.
        for planes, picture in zip(ab[part], pictures[part], strict=True):
            for plane, whole in zip(planes, cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2Lab))[1:], strict=True):
                np.subtract(whole, np.float32(128), out=plane)

    for _ in map_in_threads(convert, range(0, len(rgb), _PICTURES_A_THREAD), processors()):
        pass
    return torch.from_numpy(ab)
