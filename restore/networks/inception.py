"""The Inception network that published FIDs are measured with: torchvision's, with the pooling of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import inception

from restore.errors import InputError
from restore.networks.published import read_tensors

_CLASSES = 1008  # of the network of 2015-12-05
_SIDE = 299
_WANTED = "Give pt_inception-2015-12-05-6726825d.pth, as pytorch-fid publishes it"


class _PoolsAnew:
    """One of torchvision's blocks whose pooling branch, the last, is pooled in another way."""

    branch_pool: Any

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.branch_pool(self.pool(x))
        outputs: Tensor = super().forward(x)  # type: ignore[misc]
        return torch.cat((outputs[:, : -pooled.shape[1]], pooled), dim=1)

    def pool(self, x: Tensor) -> Tensor:
        """The mean of what is there: torchvision's counts the padding as well."""
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _A(_PoolsAnew, inception.InceptionA):
    pass


class _C(_PoolsAnew, inception.InceptionC):
    pass


class _E(_PoolsAnew, inception.InceptionE):
    pass


class _LastE(_PoolsAnew, inception.InceptionE):
    def pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, stride=1, padding=1)


class InceptionFeatures(nn.Module):
    """(N, 3, H, W) sRGB in [0, 1] to the 2,048 features before the classifier, (N, 2048).

    Inception v3 (Szegedy et al. 2015, arXiv:1512.00567) as TensorFlow's graph of 2015-12-05 has it, which FID (Heusel
    et al. 2017, arXiv:1706.08500) is defined by. Its weights are published for PyTorch as `pt_inception-2015-12-05`.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[Any] = [
            inception.BasicConv2d, _A, inception.InceptionB, _C, inception.InceptionD, _E, inception.InceptionAux,
        ]  # fmt: skip
        self.network = inception.Inception3(_CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)
        self.network.Mixed_7c = _LastE(2048)

    @classmethod
    def from_file(cls, path: Path) -> InceptionFeatures:
        """With the weights of a file, ready to look.

        Raises:
            InputError: it can't be read, or holds something else.
        """
        features = cls()
        try:
            features.network.load_state_dict(read_tensors(path))
        except InputError as error:
            raise InputError(error.message, _WANTED) from error
        except RuntimeError as error:
            raise InputError(f"{path} does not hold the weights of FID's Inception network", _WANTED) from error
        return features.eval().requires_grad_(False)

    def forward(self, rgb: Tensor) -> Tensor:
        x = F.interpolate(rgb, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        return self._without_classifier(2 * x - 1)

    def _without_classifier(self, x: Tensor) -> Tensor:
        for name, layer in self.network.named_children():
            if name in ("dropout", "fc"):
                break
            x = layer(x)
        return x.flatten(1)
