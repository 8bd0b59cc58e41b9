"""Our own networks as a `ColorModel`."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from restore.checkpoint import load_checkpoint, sha256
from restore.color import lightness_from_luma, scale_l
from restore.networks import Model


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
    def from_file(cls, path: Path) -> NetworkColorModel:
        """Load a checkpoint; raises ModelError."""
        model, info = load_checkpoint(path)
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
