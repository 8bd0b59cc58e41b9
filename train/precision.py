"""Which number format a step is computed in: the fastest on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from restore.networks import Model
from restore.networks.efficientnet_unet import EfficientNetUNet


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context a forward pass runs in. `mixed` is bf16 for all but a depthwise encoder."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision != "fp32")


def apply_precision(model: Model, precision: str) -> None:
    if isinstance(model.generator, EfficientNetUNet):
        model.generator.exact_encoder = precision == "mixed"


def fastest_precision(model: Model, step: Callable[[], Tensor], device: torch.device) -> str:
    """Time forward and backward passes of `step` in each precision. Weights and statistics are as before afterwards."""
    if device.type != "cpu":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    candidates = ["fp32", "bf16"] + (["mixed"] if isinstance(model.generator, EfficientNetUNet) else [])
    seconds: dict[str, float] = {}
    for precision in candidates:
        apply_precision(model, precision)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            with autocast(precision, device):
                loss = step()
            loss.backward()
            times.append(time.perf_counter() - start)
        seconds[precision] = min(times[1:])
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return min(seconds, key=seconds.__getitem__)
