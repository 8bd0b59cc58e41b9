"""Discriminators: is this ab, on this L, real? Built by one explicit table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """A stack of layers, each of which ends in a feature map; the last one holds the logits.

    `forward` takes L and ab as one picture, (N, 3, H, W) in [−1, 1], and returns the map after each layer, the logits
    (N, 1, h, w) last.
    """

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


def patch(filters: int = 64, downs: int = 3, spectral: bool = False) -> Discriminator:
    """Conditional PatchGAN (Isola et al. 2017, arXiv:1611.07004): one logit a patch, 70×70 pixels at 3 downs.

    Args:
        filters: channels after the first convolution; doubled up to 8 × filters.
        downs: convolutions of stride 2; one of stride 1 and the logits follow. Patches: 16, 34, 70, 142, 286 at 1 to 5.
        spectral: spectral normalisation (Miyato et al. 2018, arXiv:1802.05957) in place of BatchNorm.
    """
    _check("filters", filters)
    _check("downs", downs)
    layers: list[nn.Module] = []
    channels = 3
    for i in range(downs + 1):
        out = min(filters * 2**i, filters * 8)
        layers.append(_layer(channels, out, 4, 2 if i < downs else 1, normed=i > 0, spectral=spectral))
        channels = out
    layers.append(_maybe_spectral(nn.Conv2d(channels, 1, 4, 1, 1), spectral))
    return Discriminator(layers)


def pixel(filters: int = 64, spectral: bool = False) -> Discriminator:
    """1×1 PatchGAN: judges each pixel's colour alone; one logit a pixel."""
    _check("filters", filters)
    return Discriminator(
        [
            _layer(3, filters, 1, 1, normed=False, spectral=spectral),
            _layer(filters, filters * 2, 1, 1, normed=True, spectral=spectral),
            _maybe_spectral(nn.Conv2d(filters * 2, 1, 1), spectral),
        ]
    )


DISCRIMINATORS: dict[str, Callable[..., Discriminator]] = {"patch": patch, "pixel": pixel}


def build_discriminator(name: str, arguments: dict[str, Any]) -> Discriminator:
    """
    Raises:
        ValueError: an unknown name, or an argument it does not take.
    """
    if name not in DISCRIMINATORS:
        raise ValueError(f"unknown discriminator {name!r}; known: {', '.join(DISCRIMINATORS)}")
    try:
        return DISCRIMINATORS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"discriminator {name} does not take these arguments: {error}") from error


def picture(scaled_l: Tensor, scaled_ab: Tensor) -> Tensor:
    """What a discriminator sees: (N, 1, H, W) and (N, 2, h, w), both in [−1, 1], to (N, 3, h, w).

    A generator may say ab at a fraction of its input's size; the judge looks at that size then.
    """
    if scaled_l.shape[-2:] != scaled_ab.shape[-2:]:
        scaled_l = nn.functional.interpolate(scaled_l, scaled_ab.shape[-2:], mode="area")
    return torch.cat((scaled_l, scaled_ab.to(scaled_l.dtype)), dim=1)


def _layer(
    in_channels: int, out_channels: int, kernel: int, stride: int, *, normed: bool, spectral: bool
) -> nn.Sequential:
    normed = normed and not spectral
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, 1 if kernel > 1 else 0, bias=not normed)
    layers: list[nn.Module] = [_maybe_spectral(conv, spectral)]
    if normed:
        layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def _maybe_spectral(conv: nn.Conv2d, spectral: bool) -> nn.Module:
    return spectral_norm(conv) if spectral else conv


def _check(name: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value}")
