"""A U-Net whose encoder is made of residual blocks (He et al. 2015, arXiv:1512.03385), decoder as in pix2pix."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class _Residual(nn.Module):
    """Two convolutions with BatchNorm and LeakyReLU beside a shortcut.

    At stride 2 the first convolution is 4×4 and the shortcut a 1×1 convolution with BatchNorm; else 3×3 and identity.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        kernel = 4 if stride == 2 else 3
        self.path = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.act = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.path(x) + self.shortcut(x))


class ResidualUNet(nn.Module):
    """Residual encoder, U-Net decoder: the generator of the published NoGAN run (its ab are scaled by 128).

    Input (N, 1, H, W) with H and W multiples of 2**downs; output (N, out_channels, H/output_stride, W/output_stride).

    Args:
        filters: channels after the stem; doubled up to 8 × filters.
        downs: stride-2 steps: the stem, downs − 2 residual stages, and the bottleneck.
        blocks: residual blocks between the stem and the first stage.
        dropout: rate in the three up-blocks next to the bottleneck. It is the noise of the GAN.
        output_stride: 1, or 2 or 4 to leave out the last up-blocks.
        tanh: end in tanh, as regression of scaled ab does.
    """

    def __init__(
        self,
        out_channels: int = 2,
        filters: int = 64,
        downs: int = 8,
        blocks: int = 1,
        dropout: float = 0.5,
        output_stride: int = 1,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        if output_stride not in (1, 2, 4):
            raise ValueError(f"output_stride must be 1, 2 or 4, not {output_stride}")
        if downs < 4:
            raise ValueError(f"downs must be at least 4, not {downs}")
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {blocks}")
        self.input_multiple = 2**downs
        self.output_stride = output_stride
        widths = [min(filters * 2**i, filters * 8) for i in range(downs - 1)]
        self.stem = nn.Sequential(nn.Conv2d(1, filters, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True))
        self.stages = nn.ModuleList([nn.Sequential(*(_Residual(filters, filters, 1) for _ in range(blocks)))])
        self.stages.extend(_Residual(i, o, 2) for i, o in pairwise(widths))
        self.bottleneck = nn.Sequential(nn.Conv2d(widths[-1], widths[-1], 4, 2, 1), nn.ReLU(inplace=True))

        self.ups = nn.ModuleList()
        in_channels = widths[-1]
        ups = downs - 1 - (output_stride.bit_length() - 1)
        for i, width in enumerate(reversed(widths[len(widths) - ups :])):
            layers: list[nn.Module] = [
                nn.ConvTranspose2d(in_channels, width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            if dropout and i < 3:
                layers.append(nn.Dropout(dropout))
            self.ups.append(nn.Sequential(*layers))
            in_channels = width * 2
        last: list[nn.Module] = [nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)]
        self.last = nn.Sequential(*last, *([nn.Tanh()] if tanh else []))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        skips: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        x = self.bottleneck(x)
        for up in self.ups:
            x = torch.cat((up(x), skips.pop()), dim=1)
        return self.last(x)
