"""Losses on ab."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from restore.color import AB_SCALE

_NEIGHBOURS = 5
_SIGMA = 5.0
_EXTENT = 110  # the lookup table reaches from −110 to 110 in steps of one unit


def at_size(ab: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, H, W) to (N, 2, height, width) by area averaging."""
    return ab if ab.shape[-2:] == (height, width) else F.interpolate(ab, (height, width), mode="area")


class SoftLabels:
    """Soft encoding of ab over the five nearest bins, Gaussian of σ = 5 (Zhang et al. 2016, section 2.1).

    A table over ab in whole units makes it a lookup: (221 · 221, 5) bins and shares.
    """

    def __init__(self, bins: Tensor) -> None:
        axis = torch.arange(-_EXTENT, _EXTENT + 1, dtype=torch.float32, device=bins.device)
        grid = torch.cartesian_prod(axis, axis)
        distance, self.nearest = torch.cdist(grid, bins).topk(_NEIGHBOURS, largest=False)
        share = torch.exp(-0.5 * (distance / _SIGMA) ** 2) + 1e-12
        self.shares = share / share.sum(1, keepdim=True)
        self.count = len(bins)

    def rows(self, ab: Tensor) -> Tensor:
        """(N, 2, h, w) in Lab units to rows of the table, (N·h·w,)."""
        whole = ab.round().clamp(-_EXTENT, _EXTENT).long() + _EXTENT
        return (whole[:, 0] * (2 * _EXTENT + 1) + whole[:, 1]).flatten()

    def prior(self, rows: Tensor) -> Tensor:
        """Summed shares of each bin, (Q,)."""
        sums = torch.zeros(self.count, device=rows.device)
        return sums.index_add_(0, self.nearest[rows].flatten(), self.shares[rows].flatten())


def balanced_cross_entropy(logits: Tensor, ab: Tensor, labels: SoftLabels, weights: Tensor) -> Tensor:
    """Cross-entropy against soft labels, each pixel weighted by its nearest bin's weight (Zhang et al. 2016, eq. 2).

    The mean is a weighted one, so that a batch of rare colours does not count for several.

    Args:
        logits: (N, Q, h, w).
        ab: (N, 2, H, W) in Lab units.
    """
    rows = labels.rows(at_size(ab, *logits.shape[-2:]))
    nearest = labels.nearest[rows]
    log_p = F.log_softmax(logits.permute(0, 2, 3, 1).reshape(-1, labels.count).float(), dim=1)
    cross_entropy = -(labels.shares[rows] * log_p.gather(1, nearest)).sum(1)
    weight = weights[nearest[:, 0]]
    return (weight * cross_entropy).sum() / weight.sum()


_REGRESSION = {"l1": F.l1_loss, "mse": F.mse_loss, "huber": F.smooth_l1_loss}


def regression_loss(name: str, output: Tensor, ab: Tensor) -> Tensor:
    """L1, MSE or Huber (`smooth_l1`) between scaled ab.

    Args:
        output: (N, 2, h, w) in [−1, 1].
        ab: (N, 2, H, W) in Lab units.
    """
    return _REGRESSION[name](output.float(), at_size(ab, *output.shape[-2:]) / AB_SCALE)
