"""Small models for the tests of export: each kind of head, with weights that give real chroma."""

from __future__ import annotations

from pathlib import Path

import torch

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.networks import ClassesHead, GeneratorConfig, HeadConfig, ModelConfig, build_model
from restore.networks.efficientnet_unet import EfficientNetUNet
from restore.networks.heads import class_weights

HEADS = {
    "regression": HeadConfig("regression"),
    "annealed": HeadConfig("classes", temperature=0.4, rebalance=0.5),
    "least_cost": HeadConfig("classes", vividness=24.0, shadow=0.4),
}


def save_small(
    path: Path, head: str, seed: int = 1, *, hints: bool = False, grown: dict[str, object] | None = None
) -> None:
    """A checkpoint of a small network; BatchNorms have seen pictures, and classes are as unequal as in photographs.

    Args:
        hints: one that takes hints, and goes by them.
        grown: arguments of `efficientnet_unet`; nothing of it is zero.
    """
    torch.manual_seed(seed)
    stride = {} if head == "regression" else {"output_stride": 4}
    generator = GeneratorConfig("unet", {"filters": 8, "downs": 5, **stride})
    if hints or grown:
        generator = GeneratorConfig("efficientnet_unet", {"hints": hints, **(grown or {})})
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
    if isinstance(model.generator, EfficientNetUNet) and model.generator.told is not None:
        for layer in model.generator.told.layers:
            torch.nn.init.normal_(layer.weight)  # type: ignore[arg-type]
    save_checkpoint(path, model, CheckpointInfo(f"small-{head}", "MIT", {"steps": 3}))
