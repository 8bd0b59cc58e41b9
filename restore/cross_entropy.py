"""How far a model's distribution is from what training asks of it: cross-entropy, natural and balanced.

It does not depend on decoding, and over a few hundred pictures it is the steadiest guide to which network is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.color import lab_from_array
from restore.resize import squared
from restore.soft_labels import rows_of, soft_labels

FloatArray = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]

_LEAST = np.finfo(np.float32).tiny  # of a share: what rounds to nothing costs 87 nats, not infinitely many


@dataclass(frozen=True)
class CrossEntropy:
    """Means over pixels, in nats; lower is better.

    Args:
        natural: of the distribution as it is in photographs.
        balanced: of the distribution that training raises rare colours in, each pixel with the weight that training
            gives its colour: the training's own loss (Zhang et al. 2016, equation 2).
        natural_known, balanced_known: of the best single distribution for all pixels, which knows how frequent colours
            are in these pictures and sees nothing: what a model gains on it, it has seen.
    """

    natural: float
    balanced: float
    natural_known: float
    balanced_known: float


class CrossEntropyMeter:
    """Sums over the pixels of any number of pictures, in flat memory.

    Args:
        bins: (Q, 2) ab in Lab units.
        weights: (Q,) class weights of the training loss.
    """

    def __init__(self, bins: FloatArray, weights: FloatArray) -> None:
        self._labels = soft_labels(bins)
        self._weights = weights.astype(np.float64)
        self._sums = np.zeros(2)  # natural, balanced
        self._known = np.zeros((2, len(bins)))  # labels, plain and weighted

    def add(self, shares: FloatArray, ab: FloatArray) -> None:
        """Count a picture.

        Args:
            shares: (h, w, Q), the natural distribution.
            ab: (h, w, 2) in Lab units, the true colours: see `true_ab`.
        """
        rows = rows_of(ab)
        nearest, label = self._labels.nearest[rows], self._labels.shares[rows].astype(np.float64)
        flat = shares.reshape(len(rows), -1)
        log_natural = np.log(np.maximum(np.take_along_axis(flat, nearest, axis=1), _LEAST).astype(np.float64))
        # The training's distribution is the natural one times the class weights.
        log_balanced = log_natural + np.log(self._weights[nearest]) - np.log(flat @ self._weights)[:, None]
        weight = self._weights[nearest[:, 0]]
        self._sums -= (label * log_natural).sum(), weight @ (label * log_balanced).sum(axis=1)
        for known, values in zip(self._known, (label, label * weight[:, None]), strict=True):
            known += np.bincount(nearest.ravel(), values.ravel(), len(known))

    def merge(self, other: CrossEntropyMeter) -> None:
        """Count the pictures of `other`, of the same model, as well."""
        self._sums += other._sums
        self._known += other._known

    def scores(self) -> CrossEntropy:
        """The figures so far. Raises ValueError before the first picture."""
        totals = self._known.sum(axis=1)
        if not totals.all():
            raise ValueError("no picture has been measured")
        natural, balanced = self._sums / totals
        known = [_entropy(sums / total) for sums, total in zip(self._known, totals, strict=True)]
        return CrossEntropy(float(natural), float(balanced), *known)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    met = shares[shares > 0]
    return float(-(met * np.log(met)).sum())


def true_ab(rgb: Rgb, size: int, height: int, width: int) -> FloatArray:
    """What a model that works at `size` should have said, (height, width, 2) in Lab units: the picture in the network's
    shape, and its colours averaged over each cell of the guess.

    Args:
        rgb: (H, W, 3).
        height, width: of the guess; `size` is a multiple of both.
    """
    ab = np.ascontiguousarray(lab_from_array(squared(rgb, size))[..., 1:])
    return np.asarray(cv2.resize(ab, (width, height), interpolation=cv2.INTER_AREA), np.float32)
