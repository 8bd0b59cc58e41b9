"""Parts that more than one generator uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def icnr_(weight: Tensor, scale: int = 2) -> None:
    """Fill a pixel-shuffle convolution's weight so that it starts as nearest-neighbour upsampling.

    ICNR of Aitken et al. 2017 (arXiv:1707.02937): no checkerboard at the start.
    """
    out_channels, in_channels, height, width = weight.shape
    kernel = torch.empty(out_channels // scale**2, in_channels, height, width)
    nn.init.kaiming_normal_(kernel)
    with torch.no_grad():
        weight.copy_(kernel.repeat_interleave(scale**2, dim=0))


class PixelShuffleUp(nn.Module):
    """×2 upsampling: 1×1 convolution, ReLU, pixel shuffle. (N, C, H, W) to (N, out, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels * 4, 1)
        icnr_(self.conv.weight)
        self.act = nn.ReLU(inplace=True)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.act(self.conv(x)))


class ConvNormAct(nn.Sequential):
    """Layers one after the other; a BatchNorm that keeps its statistics is folded into the convolution before it, in
    training too: it then costs nothing, and the weights, scales and shifts still get their gradients."""

    def forward(self, x: Tensor) -> Tensor:
        conv: nn.Conv2d | None = None  # held back until it is known what follows
        for layer in self:
            if conv is not None:
                if isinstance(layer, nn.BatchNorm2d) and not layer.training:
                    x, conv = _folded(x, conv, layer), None
                    continue
                x, conv = conv(x), None
            if isinstance(layer, nn.Conv2d):
                conv = layer
            else:
                x = layer(x)
        return x if conv is None else conv(x)


def _folded(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    return conv._conv_forward(x, conv.weight * scale[:, None, None, None], shift)


def conv_norm_act(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU at the same size."""
    return ConvNormAct(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def resnet_names(network: nn.Module) -> dict[str, Tensor]:
    """Tensors of a network with torchvision's ResNet in `stem` and `stages`, under torchvision's names."""
    names = {"stem.0.": "conv1.", "stem.1.": "bn1.", **{f"stages.{i}.": f"layer{i + 1}." for i in range(4)}}
    return {
        theirs + name.removeprefix(ours): tensor
        for name, tensor in network.state_dict(keep_vars=True).items()
        for ours, theirs in names.items()
        if name.startswith(ours)
    }
