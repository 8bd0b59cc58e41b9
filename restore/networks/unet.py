"""The pix2pix U-Net (Isola et al. 2017, arXiv:1611.07004, section 6.1.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """U-Net of 4×4 convolutions with skips by concatenation.

    Input (N, 1, H, W) with H and W multiples of 2**downs; output (N, out_channels, H/output_stride, W/output_stride).
    With the defaults and two output channels it is pix2pix's U-Net-256: 54.4 M parameters.

    Args:
        filters: channels after the first down-convolution; doubled up to 8 × filters.
        downs: number of stride-2 convolutions.
        dropout: rate in the up-blocks next to the innermost one (three of them at 8 downs). It is the noise of the GAN.
        output_stride: 1, or 2 or 4 to leave out the last up-blocks (a head of many classes needs no full size).
        tanh: end in tanh, as regression of scaled ab does.
    """

    def __init__(
        self,
        out_channels: int = 2,
        filters: int = 64,
        downs: int = 8,
        dropout: float = 0.5,
        output_stride: int = 1,
        tanh: bool = True,
    ) -> None:
        super().__init__()
        if output_stride not in (1, 2, 4):
            raise ValueError(f"output_stride must be 1, 2 or 4, not {output_stride}")
        if downs < 4:
            raise ValueError(f"downs must be at least 4, not {downs}")
        self.input_multiple = 2**downs
        self.output_stride = output_stride
        widths = [min(filters * 2**i, filters * 8) for i in range(downs)]
        self.downs = nn.ModuleList()
        for i, width in enumerate(widths):
            layers: list[nn.Module] = [] if i == 0 else [nn.LeakyReLU(0.2)]
            normed = 0 < i < downs - 1
            layers.append(nn.Conv2d(1 if i == 0 else widths[i - 1], width, 4, 2, 1, bias=not normed))
            if normed:
                layers.append(nn.BatchNorm2d(width))
            self.downs.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList()
        leave_out = output_stride.bit_length() - 1
        for i in range(downs - 1, leave_out - 1, -1):
            in_channels = widths[i] if i == downs - 1 else widths[i] * 2
            if i == leave_out:
                last: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)]
                self.ups.append(nn.Sequential(*last, *([nn.Tanh()] if tanh else [])))
                continue
            layers = [
                nn.ReLU(),
                nn.ConvTranspose2d(in_channels, widths[i - 1], 4, 2, 1, bias=False),
                nn.BatchNorm2d(widths[i - 1]),
            ]
            if dropout and downs - 5 < i < downs - 1:
                layers.append(nn.Dropout(dropout))
            self.ups.append(nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for i, up in enumerate(self.ups):
            x = up(x) if i == 0 else up(torch.cat((x, skips.pop()), dim=1))
        return x
