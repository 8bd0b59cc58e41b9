"""Film-like degradation of the *input* luma; the target stays clean.

Old material is blurred, grainy, low in contrast, faded, and often orthochromatic: sensitive to blue and green, so that
reds are dark and skies white.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from restore.color import luma_from_rgb

_MAX_BLUR = 1.2  # standard deviation in pixels of the crop
_MAX_NOISE = 0.06


_DRAWS = 14  # uniform numbers a sample


def film_luma(rgb: Tensor, strength: float, seeds: Sequence[int]) -> Tensor:
    """Luma of clean pictures as old film might show it.

    Args:
        rgb: (N, 3, H, W) uint8.
        strength: 0 gives Y′ itself; else the probability of each degradation, and its extent.
        seeds: one for each picture, whose degradation follows from it alone, whatever it is batched with.

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    luma, device = clean_luma(rgb), rgb.device
    if strength == 0:
        return luma
    # Numbers from the CPU, so that a run draws the same everywhere, and each degradation is computed for those pictures
    # alone that get it; noise on the device, where making it is cheap.
    uniform = torch.stack([torch.rand(_DRAWS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    drawn = iter(uniform.T.reshape(_DRAWS, len(rgb), 1, 1, 1))

    def draw(low: float, high: float) -> Tensor:
        return next(drawn) * (high - low) + low

    def chosen(share: float) -> Tensor:
        return (draw(0, 1) < strength * share).flatten().nonzero().flatten()

    # Spectral response: another mix of the channels, with less red.
    mix = torch.cat((draw(0, 0.6), draw(0, 1), draw(0, 1)), dim=1)
    mix = mix / mix.sum(1, keepdim=True).clamp_min(1e-3) / 255
    for row in chosen(0.4).tolist():
        luma[row] = (rgb[row] * mix[row].to(device)).sum(0, keepdim=True)

    sigma = draw(0.3, 0.3 + _MAX_BLUR * strength)
    rows = chosen(0.5)
    if len(rows):
        luma[rows] = _blurred(luma[rows], sigma[rows].to(device))

    rows = chosen(0.6)
    exponent = torch.exp(draw(-0.5, 0.5) * strength)[rows].to(device)
    luma[rows] = luma[rows].clamp_min(1e-4) ** exponent

    span = 1 - draw(0, 0.6) * strength
    rows = chosen(0.5)
    base = draw(0, 1) * (1 - span)
    luma[rows] = luma[rows] * span[rows].to(device) + base[rows].to(device)

    extent = draw(0, _MAX_NOISE * strength)
    random = torch.Generator(device)
    for row in chosen(0.5).tolist():
        noise = torch.empty_like(luma[row]).normal_(generator=random.manual_seed(seeds[row]))
        luma[row] += noise * float(extent[row])
    return luma.clamp_(0, 1)


def clean_luma(rgb: Tensor) -> Tensor:
    """Y′ (N, 1, H, W) in [0, 1] of (N, 3, H, W) uint8; on a CPU in whole levels, as files have it."""
    return grey(rgb) / 255 if rgb.device.type == "cpu" else luma_from_rgb(rgb.float() / 255)


def grey(rgb: Tensor) -> Tensor:
    """Y′ (N, 1, H, W) uint8 of (N, 3, H, W) uint8 on a CPU."""
    count, _, height, width = rgb.shape
    tall = rgb.permute(0, 2, 3, 1).reshape(count * height, width, 3).numpy()  # all in one go
    return torch.from_numpy(cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY)).reshape(count, 1, height, width)


def _blurred(luma: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (N, 1, H, W) by its own standard deviation each, (N, 1, 1, 1) in pixels."""
    position = torch.arange(-3.0, 4.0, device=luma.device)
    kernel = torch.exp(-0.5 * (position / sigma) ** 2)
    kernel = kernel / kernel.sum(-1, keepdim=True)
    count = len(luma)
    across = F.conv2d(F.pad(luma.transpose(0, 1), (3, 3, 0, 0), mode="replicate"), kernel, groups=count)
    blurred = F.conv2d(F.pad(across, (0, 0, 3, 3), mode="replicate"), kernel.transpose(2, 3), groups=count)
    return blurred.transpose(0, 1)
