"""ImageNet weights for generators' encoders: from packages, from torchvision on demand, or from a file."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from restore.errors import InputError, UsageError
from restore.networks import Model
from restore.networks.efficientnet_unet import EfficientNetUNet
from restore.networks.published import copy_in_order, packaged_lite, read_tensors
from restore.networks.resnet_regression import ResNetRegression
from restore.networks.resnet_unet import ResNetUNet


def load_encoder_weights(model: Model, choice: str) -> bool:
    """Fill the generator's encoder with ImageNet weights; the first convolution sums its weights over RGB.

    Args:
        choice: `package`, `imagenet` (torchvision's, downloaded on demand), `none`, or a file of tensors (`.pth` as
            published).

    Returns:
        Whether anything was loaded.

    Raises:
        UsageError: the generator has no encoder with such weights.
        MissingDependencyError: the extra `train` is not installed.
        InputError: a file that can't be read or does not fit, or a download that failed.
    """
    generator = model.generator
    if choice == "none":
        return False
    if isinstance(generator, EfficientNetUNet):
        if choice == "imagenet":
            raise UsageError(
                "--encoder-weights imagenet: torchvision has none for efficientnet_unet",
                "Give package, which brings ImageNet weights for it, or a file",
            )
        targets = list(generator.encoder.state_dict(keep_vars=True).values())
        path = _packaged(generator.variant) if choice == "package" else Path(choice)
        copy_in_order(targets, read_tensors(path).values(), str(path))
        return True
    if isinstance(generator, ResNetUNet | ResNetRegression):
        if choice == "package":
            raise UsageError(
                "--encoder-weights package: no package brings weights for a ResNet",
                "Give imagenet (downloaded), a file, none, or --generator efficientnet_unet",
            )
        depth = generator.depth if isinstance(generator, ResNetUNet) else 18
        tensors = torchvision_weights(f"resnet{depth}") if choice == "imagenet" else read_tensors(Path(choice))
        named = generator.encoder_state()
        missing = [name for name in named if name not in tensors]
        if missing:
            raise InputError(f"{choice} does not fit the encoder: {missing[0]} is missing")
        copy_in_order(list(named.values()), [tensors[name] for name in named], choice)
        return True
    raise UsageError(
        f"--encoder-weights {choice}: {model.config.generator.architecture} has no encoder to load weights into",
        "Give --encoder-weights none",
    )


def _packaged(variant: int) -> Path:
    return packaged_lite(variant, "--encoder-weights package", "give --encoder-weights none")


def torchvision_weights(
    architecture: str, instead: str = "--encoder-weights FILE, package (efficientnet_unet) or none"
) -> dict[str, Tensor]:
    """ImageNet weights of one of torchvision's networks, from its cache or downloaded.

    Args:
        instead: which options do without a download, for the message.

    Raises:
        InputError: they can't be had.
    """
    from torchvision import models

    weights = models.get_model_weights(architecture).DEFAULT
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:  # URLError is an OSError
        cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise InputError(
            f"the ImageNet weights of {architecture} can't be downloaded from {weights.url}: {error}",
            f"Put the file at {cache} yourself, or give {instead}",
        ) from error
    return tensors


def encoder_parts(model: Model) -> list[nn.Module]:
    """The parts that pretrained weights fill; none where no such weights exist."""
    generator = model.generator
    if isinstance(generator, EfficientNetUNet):
        return [generator.encoder]
    if isinstance(generator, ResNetUNet | ResNetRegression):
        return [generator.stem, generator.stages]
    return []


def encoder_parameters(model: Model) -> list[nn.Parameter]:
    """The parameters that pretrained weights filled, which learn more slowly."""
    return [parameter for part in encoder_parts(model) for parameter in part.parameters()]


def hold_norms(parts: Iterable[nn.Module]) -> None:
    """Let each BatchNorm keep its statistics, until `train()` is called."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
