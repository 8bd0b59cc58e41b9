"""Parts that a U-Net can be grown by: each, and each of their blocks, adds something that is zero at first, so that a
trained network goes on from what it knows.

None has a BatchNorm: small batches of crops have other statistics than whole pictures, and residual branches that start
at zero train without (De & Smith 2020, arXiv:2002.10444). Convolutions are dense, their channels multiples of 32: that
runs fast in bf16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.networks.depthwise import DepthwiseConv2d

_Layer = TypeVar("_Layer", bound=nn.Conv2d | nn.Linear)
_HEAD = 64  # channels of an attention head


class PixelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel: (N, C, H, W) to the same."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Attention(nn.Module):
    """What tokens (N, T, C) learn from others (N, U, C): multi-head attention, zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask, self.tell = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.merge = zeroed(nn.Linear(width, width))

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        asked = self.ask(tokens).unflatten(2, (-1, _HEAD)).transpose(1, 2)
        keys, values = self.tell(others).unflatten(2, (-1, _HEAD)).transpose(1, 2).chunk(2, dim=1)
        # Written out: at these few tokens PyTorch's own, fused for many, takes ten times as long to go back on a CPU.
        shares = torch.matmul(asked * _HEAD**-0.5, keys.transpose(2, 3)).softmax(dim=-1)
        return self.merge(torch.matmul(shares.to(values.dtype), values).transpose(1, 2).flatten(2))


def _perceptron(width: int) -> nn.Sequential:
    last = zeroed(nn.Linear(4 * width, width))
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), last)


class _ContextBlock(nn.Module):
    """A pre-norm transformer block over the pixels of a map (N, C, H, W); they know where they are by a depthwise 3×3
    convolution (Chu et al. 2021, arXiv:2102.10882)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = zeroed(DepthwiseConv2d(width, 3))
        self.norm, self.attention, self.perceptron = nn.LayerNorm(width), _Attention(width), _perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.place(x)
        tokens = x.permute(0, 2, 3, 1).flatten(1, 2)
        seen = self.norm(tokens)
        tokens = tokens + self.attention(seen, seen)
        tokens = tokens + self.perceptron(tokens)
        return tokens.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class Context(nn.Module):
    """Attention over the whole picture at 1/16 of its size.

    Args:
        channels: of the features at 1/16 and at 1/32.
        width: of the tokens, a multiple of 64.
        blocks: how many.
        out_channels: of `last`, which makes what is added to a map of that size.
    """

    def __init__(self, channels: tuple[int, int], width: int, blocks: int, out_channels: int) -> None:
        super().__init__()
        _check_width("attention_width", width)
        self.norms = nn.ModuleList([PixelNorm(count) for count in channels])
        self.enter = nn.Conv2d(sum(channels), width, 1)
        self.blocks = nn.Sequential(*[_ContextBlock(width) for _ in range(blocks)])
        self.norm = PixelNorm(width)
        self.last = zeroed(nn.Conv2d(width, out_channels, 1))

    def forward(self, sixteenth: Tensor, deepest: Tensor) -> Tensor:
        """(N, C, H/16, W/16) and (N, D, H/32, W/32) to (N, width, H/16, W/16)."""
        features = (self.norms[0](sixteenth), _twice(self.norms[1](deepest)))
        return self.norm(self.blocks(self.enter(torch.cat(features, dim=1))))


class _ResidualBlock(nn.Module):
    """Two 3×3 convolutions, added to what goes in; zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class _Level(nn.Module):
    """×2: a 1×1 convolution of what is below, nearest ×2, the skip added, residual blocks."""

    def __init__(self, in_channels: int, skip_channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, width, 1)
        self.skip = nn.Sequential(PixelNorm(skip_channels), nn.Conv2d(skip_channels, width, 1))
        self.blocks = nn.Sequential(*[_ResidualBlock(width) for _ in range(blocks)])

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.blocks(_twice(self.enter(x)) + self.skip(skip))


class WideDecoder(nn.Module):
    """A second decoder: residual blocks at as many sizes as there are skips, each twice the one before.

    Args:
        in_channels: of the coarsest features, which are normed first.
        skips: channels of the skips, the coarsest first.
        widths: of each size.
        blocks: residual blocks at each size.
        out_channels: of `last`, which makes what is added to the logits.
    """

    def __init__(
        self, in_channels: int, skips: Sequence[int], widths: Sequence[int], blocks: int, out_channels: int
    ) -> None:
        super().__init__()
        self.norm = PixelNorm(in_channels)
        ins = (in_channels, *widths[:-1])
        self.levels = nn.ModuleList([_Level(i, s, w, blocks) for i, s, w in zip(ins, skips, widths, strict=True)])
        self.last = zeroed(nn.Conv2d(widths[-1], out_channels, 1))

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """(N, C, h, w) and (N, S, 2h, 2w), (N, S, 4h, 4w), … to (N, width, …) at the size of the last; above zero."""
        x = self.norm(x)
        for level, skip in zip(self.levels, skips, strict=True):
            x = level(x, skip)
        return F.relu(x)


class QueryDecoder(nn.Module):
    """A learned query for each class looks at the picture and says how its class looks there; pixels are compared with
    the answers (DDColor, Kang et al. 2023, arXiv:2212.11613, with the bins of ab in place of its colour queries).

    Args:
        classes: how many.
        in_channels: of the features that queries look at, at 1/16.
        pixel_channels: of the features that are compared.
        layers: of the decoder. width: of queries, a multiple of 64.
    """

    def __init__(self, classes: int, in_channels: int, pixel_channels: int, layers: int, width: int = 256) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(classes, width) * 0.02)
        self.see = nn.Sequential(PixelNorm(in_channels), nn.Conv2d(in_channels, width, 1))
        self.layers = nn.ModuleList([_QueryLayer(width) for _ in range(layers)])
        self.answer = nn.Sequential(nn.LayerNorm(width), zeroed(nn.Linear(width, width)))
        self.pixels = nn.Conv2d(pixel_channels, width, 1)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """(N, C, h, w) and (N, D, H, W) to what is added to the logits, (N, classes, H, W)."""
        memory = self.see(x).flatten(2).transpose(1, 2)
        queries = self.queries.to(memory.dtype).expand(x.shape[0], -1, -1)
        for layer in self.layers:
            queries = layer(queries, memory)
        pixels = self.pixels(fine).permute(0, 2, 3, 1)
        compared = torch.matmul(pixels.flatten(1, 2), self.answer(queries).transpose(1, 2))
        return compared.unflatten(1, fine.shape[2:]).permute(0, 3, 1, 2)


class _QueryLayer(nn.Module):
    """Queries look at the picture, then at each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look, self.talk, self.perceptron = _Attention(width), _Attention(width), _perceptron(width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        queries = queries + self.look(self.norms[0](queries), memory)
        seen = self.norms[1](queries)
        queries = queries + self.talk(seen, seen)
        return queries + self.perceptron(queries)


def zeroed(layer: _Layer) -> _Layer:
    """A layer that says zero, whatever it is given, until it has learned."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _check_width(name: str, width: int) -> None:
    if width < _HEAD or width % _HEAD:
        raise ValueError(f"{name} must be a multiple of {_HEAD}, not {width}")
