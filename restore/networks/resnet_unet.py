"""A U-Net whose encoder is a ResNet (He et al. 2015, arXiv:1512.03385) with a dynamic decoder, as fastai builds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.networks.blocks import PixelShuffleUp, conv_norm_act, resnet_names

_DEPTHS = (18, 34, 50)


class ResNetUNet(nn.Module):
    """ResNet encoder cut before pooling; decoder of pixel-shuffle upsampling, concatenated skips and 3×3 convolutions.

    Input (N, 1, H, W) with H and W multiples of 32; output (N, out_channels, H/output_stride, W/output_stride).

    Args:
        depth: 18, 34 or 50.
        width: channels of the narrowest decoder block (the widest has eight times as many).
        output_stride: 1, 2 or 4.
        tanh: end in tanh, as regression of scaled ab does.
    """

    input_multiple = 32

    def __init__(
        self, out_channels: int = 2, depth: int = 18, width: int = 64, output_stride: int = 1, tanh: bool = True
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"depth must be one of {list(_DEPTHS)}, not {depth}")
        if output_stride not in (1, 2, 4):
            raise ValueError(f"output_stride must be 1, 2 or 4, not {output_stride}")
        self.depth = depth
        self.output_stride = output_stride
        from torchvision import models  # a second at start-up, which other networks need not spend

        resnet = models.get_model(f"resnet{depth}", weights=None)
        channels = [64, *(64 * 2**i * (4 if depth == 50 else 1) for i in range(4))]
        self.stem = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3, bias=False), resnet.bn1, resnet.relu)
        self.pool = resnet.maxpool
        self.stages = nn.ModuleList([resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4])

        self.ups = nn.ModuleList()
        self.merges = nn.ModuleList()
        in_channels = channels[-1]
        ups = 5 - (output_stride.bit_length() - 1)
        for i in range(ups):
            skip = channels[3 - i] if i < 4 else 1
            out = max(width, width * 8 >> i)
            self.ups.append(PixelShuffleUp(in_channels, out))
            self.merges.append(nn.Sequential(conv_norm_act(out + skip, out), conv_norm_act(out, out)))
            in_channels = out
        last: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, 1)]
        self.last = nn.Sequential(*last, *([nn.Tanh()] if tanh else []))

    def encoder_state(self) -> dict[str, Tensor]:
        """The encoder's tensors under torchvision's names, for loading weights into (the classifier left out)."""
        return resnet_names(self)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x, self.stem(x)]
        x = self.pool(skips[-1])
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.ups, self.merges, strict=True):
            x = merge(torch.cat((up(x), skips.pop()), dim=1))
        return self.last(x)
