"""Film-like degradation of the *input* luma; the target stays clean.

Old material is blurred, grainy, low in contrast, faded, and often orthochromatic: sensitive to blue and green, so that
reds are dark and skies white.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        rgb: (N, 3, H, W) in [0, 1].
        strength: 0 gives Y′ itself; else the probability of each degradation, and its extent.
        seeds: one for each picture, whose degradation follows from it alone, whatever it is batched with.

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    luma = luma_from_rgb(rgb)
    if strength == 0:
        return luma
    count, device = len(rgb), rgb.device
    # Numbers from the CPU, so that a run draws the same everywhere; noise on the device, where making it is cheap.
    uniform = torch.stack([torch.rand(_DRAWS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    drawn = iter(uniform.to(device).T.reshape(_DRAWS, count, 1, 1, 1))

    def draw(low: float, high: float) -> Tensor:
        return next(drawn) * (high - low) + low

    def chosen(share: float) -> Tensor:
        return draw(0, 1) < strength * share

    # Spectral response: another mix of the channels, with less red.
    mix = torch.cat((draw(0, 0.6), draw(0, 1), draw(0, 1)), dim=1)
    response = (rgb * (mix / mix.sum(1, keepdim=True).clamp_min(1e-3))).sum(1, keepdim=True)
    luma = torch.where(chosen(0.4), response, luma)

    kernel_position = torch.arange(-3.0, 4.0, device=device)
    kernel = torch.exp(-0.5 * (kernel_position / draw(0.3, 0.3 + _MAX_BLUR * strength)) ** 2)
    kernel = kernel / kernel.sum(-1, keepdim=True)
    across = F.conv2d(F.pad(luma.transpose(0, 1), (3, 3, 0, 0), mode="replicate"), kernel, groups=count)
    blurred = F.conv2d(F.pad(across, (0, 0, 3, 3), mode="replicate"), kernel.transpose(2, 3), groups=count)
    luma = torch.where(chosen(0.5), blurred.transpose(0, 1), luma)

    luma = torch.where(chosen(0.6), luma.clamp_min(1e-4) ** torch.exp(draw(-0.5, 0.5) * strength), luma)
    span = 1 - draw(0, 0.6) * strength
    luma = torch.where(chosen(0.5), luma * span + draw(0, 1) * (1 - span), luma)
    extent = draw(0, _MAX_NOISE * strength)
    noise = torch.empty_like(luma)
    random = torch.Generator(device)
    for row, seed in zip(noise, seeds, strict=True):
        row.normal_(generator=random.manual_seed(seed))
    return torch.where(chosen(0.5), luma + noise * extent, luma).clamp(0, 1)
