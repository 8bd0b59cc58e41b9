"""Our own networks as a `ColorModel`."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from restore.checkpoint import load_checkpoint
from restore.color import lightness_from_luma, scale_l
from restore.errors import UsageError
from restore.model_files import sha256
from restore.networks import ClassesHead, Model
from restore.options import Style

# What an error in a rare colour costs beside one in a common colour, see `HeadConfig.vividness`.
_VIVIDNESS: dict[Style, float] = {"natural": 16.0, "vivid": 32.0}


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it, wherever the two are neighbours in a Sequential."""
    for child in module.children():
        fold_batch_norms(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 1):
            conv, norm = module[i], module[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i] = fuse_conv_bn_eval(conv, norm)
                module[i + 1] = nn.Identity()


class NetworkColorModel:
    """A checkpoint of `restore train`, ready to colour."""

    def __init__(self, model: Model, name: str, digest: str = "") -> None:
        self.name = name
        self.sha256 = digest
        self.working_size = model.config.working_size
        self.size_multiple = int(model.generator.input_multiple)  # type: ignore[arg-type]
        self._reference = copy.deepcopy(model).eval().requires_grad_(False)
        fold_batch_norms(self._reference.generator)
        self._model: Model = self._reference
        self._device, self._dtype = torch.device("cpu"), torch.float32

    @classmethod
    def from_file(cls, path: Path, style: Style | None = None, preferred: Style | None = None) -> NetworkColorModel:
        """Load a checkpoint.

        Args:
            style: how vivid; None is `preferred`, or else the checkpoint's own.
            preferred: for models that have styles; others go without.

        Raises:
            ModelError: missing or damaged.
            UsageError: a style, but the model guesses one colour instead of a distribution.
        """
        model, info = load_checkpoint(path)
        if style is None and isinstance(model.head, ClassesHead) and model.head.vividness is not None:
            style = preferred
        if style is not None:
            if not isinstance(model.head, ClassesHead):
                raise UsageError(
                    f"model {info.name} has no styles: it was not trained by recipe classes", "Leave --style out"
                )
            model.head.vividness = _VIVIDNESS[style]
        return cls(model, info.name, sha256(path))

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        model = copy.deepcopy(self._reference)
        # Converted weights rather than autocast: no casts at run time. The head stays in float32.
        model.generator.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
        model.head.to(device)
        self._model, self._device, self._dtype = model, device, dtype

    def predict(self, luma: Tensor) -> Tensor:
        scaled = scale_l(lightness_from_luma(luma)).to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self._model(scaled)
