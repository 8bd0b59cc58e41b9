"""Soft labels of ab: what training asks a distribution over quantised colours to be, and what it is measured against.

A colour's label is spread over its five nearest bins by a Gaussian of σ = 5 (Zhang, Isola, Efros 2016,
arXiv:1603.08511, section 2.1). A table over ab in whole units makes it a look-up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 5
EXTENT = 110
"""The table reaches from −110 to 110 in steps of one unit; colours beyond count as its end."""

_SIGMA = 5.0
_AT_A_TIME = 1 << 13  # rows, so that distances to all bins stay small


class SoftLabels(NamedTuple):
    """The table: a row for each pair of whole a and b, a first.

    Args:
        nearest: (221 · 221, 5) bins, the nearest first.
        shares: (221 · 221, 5) float32, that add up to 1.
    """

    nearest: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]


def soft_labels(bins: npt.NDArray[np.float32]) -> SoftLabels:
    """The table for these bins, (Q, 2) in Lab units."""
    axis = np.arange(-EXTENT, EXTENT + 1, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    table = SoftLabels(np.empty((len(grid), NEIGHBOURS), np.int64), np.empty((len(grid), NEIGHBOURS), np.float32))
    order = 1e-6 * np.arange(len(bins))  # of equally near bins the first one wins, on any machine
    for start in range(0, len(grid), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        squared = np.square(grid[part, None].astype(np.float64) - bins).sum(axis=-1) + order
        nearest = np.argpartition(squared, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        least = np.take_along_axis(squared, nearest, axis=1)
        ranked = np.argsort(least, axis=1)
        share = np.exp(-0.5 / _SIGMA**2 * np.take_along_axis(least, ranked, axis=1)) + 1e-12
        table.nearest[part] = np.take_along_axis(nearest, ranked, axis=1)
        table.shares[part] = share / share.sum(axis=1, keepdims=True)
    return table


def rows_of(ab: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """(h, w, 2) in Lab units to rows of the table, (h·w,)."""
    whole = np.clip(np.rint(ab), -EXTENT, EXTENT).astype(np.intp) + EXTENT
    return (whole[..., 0] * (2 * EXTENT + 1) + whole[..., 1]).ravel()
