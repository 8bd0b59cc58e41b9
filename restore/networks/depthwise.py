"""Depthwise convolution whose backward pass is fast on CPUs.

oneDNN computes some gradients of depthwise convolutions as if they were dense ones (version 3.12: that of a weight more
than three columns wide, and in bf16 that of the input where the stride is two), 5 to 30 times as slowly as the others.
Here those are put together from gradients and convolutions that it does compute as depthwise ones: the same sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_COLUMNS = 3  # of a weight whose gradient is fast


class DepthwiseConv2d(nn.Conv2d):
    """k × k convolution of each channel by itself, to H/stride × W/stride: (N, C, H, W) to (N, C, H/s, W/s).

    Stride 2 is TensorFlow's SAME for even sizes, with one pixel more behind than before: the published weights of
    EfficientNet-Lite were trained with it.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, 0, groups=channels, bias=False)
        self.before = (kernel - stride) // 2
        self.after = kernel - stride - self.before

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        before, after, stride = self.before, self.after, self.stride[0]
        if torch.is_grad_enabled() and input.device.type == "cpu" and not torch.compiler.is_compiling():
            if torch.is_autocast_enabled("cpu"):
                input = input.to(torch.get_autocast_dtype("cpu"))
            result: Tensor = _Depthwise.apply(input, weight, bias, stride, before, after)
            return result
        return _convolved(_padded(input, before, after), weight, bias, stride, before, after)


def _padded(x: Tensor, before: int, after: int) -> Tensor:
    """As it is where the convolution can pad it."""
    return x if before == after else F.pad(x, (before, after) * 2)


def _convolved(padded: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, after: int) -> Tensor:
    return F.conv2d(padded, weight, bias, stride, before if before == after else 0, 1, len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, after: int
    ) -> Tensor:
        padded, cast = _padded(x, before, after), weight.to(x.dtype)
        ctx.save_for_backward(padded, cast)
        ctx.settings = stride, before, after, bias is not None, weight.dtype
        return _convolved(padded, cast, None if bias is None else bias.to(x.dtype), stride, before, after)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        stride, before, after, biased, exact = ctx.settings
        grad = grad.contiguous(memory_format=torch.channels_last)
        of_x = _of_input(grad, padded, weight, stride, before, after) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(grad, padded, weight, stride, before, after) if ctx.needs_input_grad[1] else None
        of_bias = grad.sum((0, 2, 3), dtype=exact) if biased else None
        return of_x, None if of_weight is None else of_weight.to(exact), of_bias, None, None, None


def _native(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, mask: tuple[bool, bool]) -> Tensor:
    """PyTorch's gradient of the input or of the weight."""
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride, stride], [padding, padding], [1, 1], False, [0, 0], len(weight), [*mask, False]
    )[0 if mask[0] else 1]  # fmt: skip


def _of_input(grad: Tensor, padded: Tensor, weight: Tensor, stride: int, before: int, after: int) -> Tensor:
    """
    Args:
        grad: (N, C, h, w).
        padded: the input, (N, C, H, W) where `before` is `after`, which then still has to be padded; else padded.
    """
    if before == after:
        return _native(grad, padded, weight, stride, before, (True, False))
    height, width = (side - before - after for side in padded.shape[2:])
    if stride != 2 or grad.dtype == torch.float32 or height % 2 or width % 2:
        of_padded = _native(grad, padded, weight, stride, 0, (True, False))
        return of_padded[:, :, before : before + height, before : before + width]
    # Rows of one parity meet every second row of the weight only, and so do columns: four convolutions of stride 1.
    count, channels = grad.shape[:2]
    of_x = torch.empty(count, height, width, channels, dtype=grad.dtype).permute(0, 3, 1, 2)
    flipped = weight.flip(2, 3)
    last = weight.shape[-1] - 1
    for row in (0, 1):
        for column in (0, 1):
            # Of the flipped weight, whose element i stands at `last − i` of the weight.
            part = flipped[:, :, (last - row) % 2 :: 2, (last - column) % 2 :: 2].contiguous()
            met = F.conv2d(grad, part, None, 1, (part.shape[2] - 1, part.shape[3] - 1), 1, channels)
            top, left = (row - before) % 2, (column - before) % 2
            y, x = (top + before - row) // 2, (left + before - column) // 2
            of_x[:, :, top::2, left::2] = met[:, :, y : y + height // 2, x : x + width // 2]
    return of_x


def _of_weight(grad: Tensor, padded: Tensor, weight: Tensor, stride: int, before: int, after: int) -> Tensor:
    kernel = weight.shape[-1]
    if kernel <= _COLUMNS:
        padding = before if before == after else 0
        return _native(grad, padded, weight, stride, padding, (False, True))
    if before == after:
        padded = F.pad(padded, (before, after) * 2)
    reach = (grad.shape[3] - 1) * stride
    parts = []
    for first in range(0, kernel, _COLUMNS):
        part = weight[..., first : first + _COLUMNS].contiguous()
        seen = padded[..., first : first + reach + part.shape[3]]
        parts.append(_native(grad, seen, part, stride, 0, (False, True)))
    return torch.cat(parts, dim=3)
