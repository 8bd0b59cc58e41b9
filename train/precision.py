"""Which number format a step is computed in: the fastest on this machine."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import torch

from restore.networks import Model
from restore.networks.efficientnet_unet import EfficientNetUNet


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context a forward pass runs in. `mixed` is bf16 for all but a depthwise encoder."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


def apply_precision(model: Model, precision: str) -> None:
    if isinstance(model.generator, EfficientNetUNet):
        model.generator.exact_encoder = precision == "mixed"


def fastest_precision(model: Model, batch: int, size: int, device: torch.device) -> str:
    """A GPU has bf16, or else fp16; a CPU with AMX has bf16, whose dense products take a sixth of the time. On another
    one, forward and backward passes of the generator are timed in each precision.

    Weights and statistics are as before afterwards.
    """
    if device.type != "cpu":
        return "fp32" if device.type != "cuda" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if torch.cpu.get_capabilities().get("amx_bf16"):
        return "bf16"  # not timed: beside other work that chose differently from run to run
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scaled_l = torch.randn(batch, 1, size, size).contiguous(memory_format=torch.channels_last)
    candidates = ["fp32", "bf16"] + (["mixed"] if isinstance(model.generator, EfficientNetUNet) else [])
    seconds: dict[str, float] = {}
    model.train()
    for precision in candidates:
        apply_precision(model, precision)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            with autocast(precision, device):
                raw = model.raw(scaled_l)
            raw.float().square().mean().backward()
            times.append(time.perf_counter() - start)
        seconds[precision] = min(times[1:])
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return min(seconds, key=seconds.__getitem__)
