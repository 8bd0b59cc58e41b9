"""Small models for the tests of export: each kind of head, with weights that give real chroma."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.networks import GENERATORS, ClassesHead, GeneratorConfig, HeadConfig, ModelConfig, build_model
from restore.networks.blocks import conv_norm_act
from restore.networks.heads import class_weights, quantised_ab_bins
from restore.networks.told import HintLayers


def some_decodings() -> dict[str, dict[str, dict[str, Any]]]:
    """Decodings that differ from style to style and from era to era: the period has hardly any green."""
    bins = quantised_ab_bins()
    strong = 1 + bins.norm(dim=1) / 20
    less_green = torch.where(bins[:, 0] < -10, -3.0, 0.0)
    return {
        era: {
            style: {"palette": palette, "weights": weights, "pull": 0.2, "reach": 30.0, "gain": 1.2}
            for style, weights in (("natural", [1.0] * len(bins)), ("vivid", strong.tolist()))
        }
        for era, palette in (("modern", [0.0] * len(bins)), ("period", less_green.tolist()))
    }


HEADS = {
    "regression": HeadConfig("regression"),
    "annealed": HeadConfig("classes", temperature=0.4, rebalance=0.5),
    "least_cost": HeadConfig("classes", vividness=24.0, shadow=0.4),
    "fitted": HeadConfig("classes", shadow=0.4, decodings=some_decodings()),
}


class SmallTold(nn.Module):
    """A generator that takes hints as `efficientnet_unet` does, but with few layers, as export takes a while."""

    input_multiple = 32
    output_stride = 4
    takes_hints = True

    def __init__(self, out_channels: int, tanh: bool) -> None:
        super().__init__()
        self.downs = nn.ModuleList([nn.Conv2d(i, o, 4, 2, 1) for i, o in ((1, 8), (8, 16))])
        self.told = HintLayers([8, 16])
        for layer in self.told.layers:
            nn.init.normal_(layer.weight)  # type: ignore[arg-type]
        self.last = nn.Sequential(conv_norm_act(16, 32), nn.Conv2d(32, out_channels, 3, padding=1))
        self.act = nn.Tanh() if tanh else nn.Identity()

    def forward(self, x: Tensor, hints: Tensor | None = None) -> Tensor:
        told = None if hints is None else self.told(hints, x.dtype)
        for i, down in enumerate(self.downs):
            x = down(x) if told is None else down(x) + told[i]
            x = torch.relu(x)
        return self.act(self.last(x))


@contextmanager
def small_told_known() -> Iterator[None]:
    """While it lasts, checkpoints of `SmallTold` can be saved and loaded."""
    with mock.patch.dict(GENERATORS, small_told=SmallTold):
        yield


def save_small(
    path: Path, head: str, seed: int = 1, *, hints: bool = False, grown: dict[str, object] | None = None
) -> None:
    """A checkpoint of a small network; BatchNorms have seen pictures, and classes are as unequal as in photographs.

    Args:
        hints: one that takes hints, and goes by them; see `small_told_known`.
        grown: arguments of `efficientnet_unet`, in place of a smaller network; nothing of it is zero.
    """
    torch.manual_seed(seed)
    stride = {} if head == "regression" else {"output_stride": 4}
    generator = GeneratorConfig("unet", {"filters": 8, "downs": 5, **stride})
    if grown:
        generator = GeneratorConfig("efficientnet_unet", {"hints": hints, **grown})
    elif hints:
        generator = GeneratorConfig("small_told")
    model = build_model(ModelConfig(generator, HEADS[head], working_size=64))
    if isinstance(model.head, ClassesHead):
        distance = model.head.bins.square().sum(1)
        model.head.weights.copy_(class_weights(torch.exp(-distance / 800) + 1e-5))
    for parameter in model.parameters():
        if grown and not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.05)
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model.raw(torch.rand(4, 1, 64, 64) * 2 - 1)
    save_checkpoint(path, model, CheckpointInfo(f"small-{head}", "MIT", {"steps": 3}))
