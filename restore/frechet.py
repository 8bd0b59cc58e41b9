"""Fréchet distance between the features that a network finds in all originals and in all results (Heusel et al. 2017,
arXiv:1706.08500): it tells whether results look like photographs as a set, not whether each is right.

Two networks: the packaged encoder, for ranking one's own models with no download, whose figures are no published FID;
and FID's own, where its weights are given as a file. PyTorch is imported only where one is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from restore.resize import squared

if TYPE_CHECKING:
    from torch import Tensor, nn

Rgb = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float64]
LookAt = Callable[[list[Rgb]], Features]
"""Pictures, (H, W, 3) each, to features, (N, D)."""

_LITE_SIDE, _INCEPTION_SIDE = 224, 256
_LITE, _LITE_STAGES = 0, 3


class Moments:
    """Mean and covariance of any number of feature vectors, in flat memory."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Features = np.zeros(0)
        self._products: Features = np.zeros((0, 0))

    def add(self, features: Features) -> None:
        """Count (N, D) vectors; D is the same each time."""
        if not self.count:
            size = features.shape[1]
            self._sum, self._products = np.zeros(size), np.zeros((size, size))
        self.count += len(features)
        self._sum += features.sum(axis=0)
        self._products += features.T @ features

    def mean(self) -> Features:
        """(D,)."""
        return self._sum / self.count

    def covariance(self) -> Features:
        """(D, D), of the sample; needs two vectors."""
        mean = self.mean()
        return (self._products - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet_distances(reference: Moments, others: Sequence[Moments]) -> list[float]:
    """Squared Fréchet distances between the normal distribution of one set and those of others:
    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½).

    Σ₁Σ₂ has the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½, so no root of a general matrix is needed. Not a number where
    a set has fewer than two vectors.
    """
    if min(moments.count for moments in (reference, *others)) < 2:
        return [math.nan] * len(others)
    own, own_mean = reference.covariance(), reference.mean()
    values, vectors = np.linalg.eigh(own)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    distances = []
    for other in others:
        covariance = other.covariance()
        cross = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(0)).sum()
        offset = np.square(own_mean - other.mean()).sum()
        distances.append(float(max(0.0, offset + np.trace(own) + np.trace(covariance) - 2 * cross)))
    return distances


@dataclass(frozen=True)
class FrechetScores:
    """Distances from the originals; lower is better.

    Args:
        pictures: measured. With fewer of them all distances are larger: compare at equal numbers only.
        model, grey: of the results, and of the same pictures without colour.
    """

    pictures: int
    model: float
    grey: float


class FrechetMeter:
    """Looks at originals, results and grey pictures through one network.

    Args:
        look: what finds the features; see `packaged_features` and `inception_features`.
    """

    def __init__(self, look: LookAt) -> None:
        self._look = look
        self._original, self._model, self._grey = Moments(), Moments(), Moments()

    def add(self, original: Rgb, coloured: Rgb, grey: Rgb) -> None:
        """Look at one picture, (H, W, 3) uint8, in its three forms."""
        features = self._look([original, coloured, grey])
        for moments, row in zip((self._original, self._model, self._grey), features, strict=True):
            moments.add(row[None])

    def scores(self) -> FrechetScores:
        """The figures so far."""
        return FrechetScores(self._original.count, *frechet_distances(self._original, (self._model, self._grey)))


def packaged_features(option: str, device: str) -> LookAt:
    """Features of EfficientNet-Lite0's ImageNet weights, of pictures reduced to 224 × 224 by area averaging.

    They are the means of its 40 maps at an eighth of the size: colours with the texture that they are on. Deeper maps
    see what is in a picture, whatever its colours (docs/measures.md).

    Args:
        option: that asks for them, for the message.
        device: of PyTorch.

    Raises:
        MissingDependencyError: their package, of the extra `train`, is not installed.
    """
    from torch import nn

    from restore.networks.efficientnet_unet import EfficientNetLite
    from restore.networks.published import copy_in_order, packaged_lite, read_tensors

    path = packaged_lite(_LITE, option, f"leave {option} out")
    encoder = EfficientNetLite(_LITE, in_channels=3)
    copy_in_order(list(encoder.state_dict(keep_vars=True).values()), read_tensors(path).values(), str(path))

    # What follows is of no use here: its weights are not looked through.
    eighth = nn.Sequential(encoder.stem, *encoder.stages[:_LITE_STAGES]).eval()

    def features(rgb: Tensor) -> Tensor:
        return eighth((rgb * 255 - 127) / 128).mean((2, 3))

    return _looking(eighth, features, _LITE_SIDE, device)


def inception_features(weights: Path, device: str) -> LookAt:
    """Features of FID's Inception network, of pictures reduced to 256 × 256 by area averaging, as papers on colour do.

    Args:
        weights: a file of them.
        device: of PyTorch.

    Raises:
        InputError: it can't be read, or holds something else.
    """
    from restore.networks.inception import InceptionFeatures

    network = InceptionFeatures.from_file(weights)
    return _looking(network, network, _INCEPTION_SIDE, device)


def _looking(network: nn.Module, features: Callable[[Tensor], Tensor], side: int, device: str) -> LookAt:
    import torch

    network.to(device)

    def look(pictures: list[Rgb]) -> Features:
        batch = torch.from_numpy(np.stack([squared(picture, side) for picture in pictures])).to(device)
        with torch.inference_mode():
            found = features(batch.permute(0, 3, 1, 2).float() / 255)
        return found.float().cpu().numpy().astype(np.float64)

    return look
