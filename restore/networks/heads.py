"""Heads: what a generator's output means, and how it becomes ab.

`classes` predicts a distribution over quantised ab and takes its annealed mean (Zhang, Isola, Efros 2016,
arXiv:1603.08511); `regression` predicts ab itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.color import AB_SCALE, rgb_to_lab
from restore.networks.config import HeadConfig

AB_STEP = 10.0


def quantised_ab_bins() -> Tensor:
    """Centres of the ab bins of 10 units that the sRGB gamut touches, (Q, 2) in Lab units, Q about 260."""
    steps = torch.linspace(0, 1, 65)
    cube = torch.cartesian_prod(steps, steps, steps).T.reshape(3, -1, 1)
    ab = rgb_to_lab(cube)[1:, :, 0].T
    return torch.unique(torch.round(ab / AB_STEP), dim=0) * AB_STEP


class RegressionHead(nn.Module):
    """Two tanh channels: ab / 110."""

    out_channels = 2
    tanh = True

    def decode(self, raw: Tensor) -> Tensor:
        """(N, 2, h, w) in [−1, 1] to ab in Lab units."""
        return raw.float() * AB_SCALE


class ClassesHead(nn.Module):
    """Logits over quantised ab.

    Args:
        temperature, rebalance: see `HeadConfig`.

    Buffers (part of a checkpoint): `bins` (Q, 2) in Lab units, `weights` (Q,) the class weights of the training loss.
    """

    tanh = False
    bins: Tensor
    weights: Tensor

    def __init__(self, temperature: float, rebalance: float) -> None:
        super().__init__()
        bins = quantised_ab_bins()
        self.out_channels = len(bins)
        self.temperature = temperature
        self.rebalance = rebalance
        self.register_buffer("bins", bins)
        self.register_buffer("weights", torch.ones(len(bins)))

    def probabilities(self, raw: Tensor) -> Tensor:
        """(N, Q, h, w) logits to the annealed distribution, same shape."""
        logits = raw.float()
        if self.rebalance:
            logits = logits - self.rebalance * self.weights.log()[:, None, None]
        return torch.softmax(logits / self.temperature, dim=1)

    def decode(self, raw: Tensor) -> Tensor:
        """(N, Q, h, w) logits to ab (N, 2, h, w) in Lab units: the mean colour of the annealed distribution."""
        return torch.einsum("nqhw,qc->nchw", self.probabilities(raw), self.bins)


Head = RegressionHead | ClassesHead


def build_head(config: HeadConfig) -> Head:
    if config.kind == "regression":
        return RegressionHead()
    if config.kind == "classes":
        return ClassesHead(config.temperature, config.rebalance)
    raise ValueError(f"unknown head {config.kind!r}; known: classes, regression")
