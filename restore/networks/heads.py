"""Heads: what a generator's output means, and how it becomes ab.

`classes` predicts a distribution over quantised ab and takes its annealed mean (Zhang, Isola, Efros 2016,
arXiv:1603.08511), the colour of least expected cost, or a mode by fitted numbers; `regression` predicts ab itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.color import AB_SCALE, rgb_to_lab
from restore.decoding import Decodings
from restore.networks.config import HeadConfig

AB_STEP = 10.0
_TRAINING_SHARE = 0.5  # of the uniform distribution in the class weights of the training loss
_COST_SHARE = 0.005  # and in those of the expected cost, where rare colours count for more
_COST_ROUNDING = 8.0  # Lab units within which the distance is rounded off: bins are ten apart
_COST_STEPS = 2
_MODE_STEPS = 3
# Neighbours of one smooth ground decide together: a guided filter over so many cells, by L* as a share of its range.
_SMOOTHING_RADIUS, _SMOOTHING_EPS = 4, 1e-2


def quantised_ab_bins() -> Tensor:
    """Centres of the ab bins of 10 units that the sRGB gamut touches, (Q, 2) in Lab units, Q about 260."""
    steps = torch.linspace(0, 1, 65)
    cube = torch.cartesian_prod(steps, steps, steps).T.reshape(3, -1, 1)
    ab = rgb_to_lab(cube)[1:, :, 0].T
    return torch.unique(torch.round(ab / AB_STEP), dim=0) * AB_STEP


class RegressionHead(nn.Module):
    """Two tanh channels: ab / ab_scale."""

    out_channels = 2
    tanh = True

    def __init__(self, ab_scale: float = AB_SCALE) -> None:
        super().__init__()
        if not ab_scale > 0:
            raise ValueError(f"ab_scale must be above 0, not {ab_scale}")
        self.ab_scale = ab_scale

    def decode(self, raw: Tensor, scaled_l: Tensor | None = None) -> Tensor:
        """(N, 2, h, w) in [−1, 1] to ab in Lab units."""
        return raw.float() * self.ab_scale


def class_weights(prior: Tensor, uniform_share: float = _TRAINING_SHARE) -> Tensor:
    """Weights of the bins, (Q,): the inverse of the prior mixed with a uniform one, so scaled that the mean weight over
    the data is 1 (Zhang et al. 2016, equation 4)."""
    prior = prior / prior.sum()
    weights = 1 / ((1 - uniform_share) * prior + uniform_share / len(prior))
    return weights / (prior * weights).sum()


def prior_of(weights: Tensor) -> Tensor:
    """The inverse of `class_weights`, up to rounding: (Q,) shares of the bins."""
    mixed = 1 / weights.double()
    mixed = mixed / mixed.sum()
    prior = (mixed - _TRAINING_SHARE / len(weights)).clamp_min(0.0)
    return (prior / prior.sum()).to(weights.dtype)


class ClassesHead(nn.Module):
    """Logits over quantised ab.

    Args:
        temperature, rebalance, vividness, shadow, decodings: see `HeadConfig`.

    Buffers (part of a checkpoint): `bins` (Q, 2) in Lab units, `weights` (Q,) the class weights of the training loss.
    """

    tanh = False
    bins: Tensor
    weights: Tensor

    def __init__(
        self,
        temperature: float,
        rebalance: float,
        vividness: float | None = None,
        shadow: float = 0.0,
        decodings: Decodings | None = None,
    ) -> None:
        super().__init__()
        bins = quantised_ab_bins()
        self.out_channels = len(bins)
        self.temperature = temperature
        self.rebalance = rebalance
        self.vividness = vividness
        self.shadow = shadow
        self.decodings = decodings
        self.register_buffer("bins", bins)
        self.register_buffer("weights", torch.ones(len(bins)))

    def decode(self, raw: Tensor, scaled_l: Tensor | None = None, vividness: float | Tensor | None = None) -> Tensor:
        """(N, Q, h, w) logits to ab (N, 2, h, w) in Lab units.

        Args:
            scaled_l: (N, 1, h, w), for shadows; without it there are none.
            vividness: a number, or a tensor of one; None is the head's own.
        """
        if vividness is None:
            vividness = self.vividness
        if vividness is None:
            ab = self._annealed_mean(raw)
        else:
            if scaled_l is not None:
                vividness = vividness * self.light(scaled_l)
            ab = self._least_cost(raw, vividness)
        return ab.permute(0, 3, 1, 2)

    def light(self, scaled_l: Tensor) -> Tensor:
        """(N, 1, h, w) to (N, h, w, 1): 1, and less in shadows."""
        lightness = scaled_l.permute(0, 2, 3, 1) + 1
        if not self.shadow:
            return torch.ones_like(lightness)
        # Of the picture's own white: an underexposed scan is not all shadow.
        white = lightness.amax(dim=(1, 2, 3), keepdim=True).clamp_min(0.02)
        return (lightness / (self.shadow * white)).clamp_max(1).square()

    def decode_fitted(self, shares: Tensor, scaled_l: Tensor, weights: Tensor, numbers: Tensor) -> Tensor:
        """A mode of each pixel's distribution, as `restore.decoding` describes it, to ab (N, 2, h, w) in Lab units.

        Found by reweighted means from the weighted mean on. Each is taken around the smoothed last one, so that the
        pixels of one smooth ground go to one mode.

        Args:
            shares: (N, h, w, Q), as `shares` gives them.
            scaled_l: (N, 1, h, w).
            weights, numbers: (N, Q) and (N, 3) of `Decodings.tables`.
        """
        pull, reach, gain = numbers[:, None, None, :].split(1, dim=-1)
        points = torch.cat((self.bins.T, torch.ones_like(self.bins[:, :1]).T))
        weighted = (points * weights[:, None, :]).transpose(1, 2)[:, None]  # (N, 1, Q, 3)
        light = self.light(scaled_l)
        smooth = _Smoothing((scaled_l + 1) / 2)
        mean = pull * F.linear(shares, points)
        sums = mean + light * (shares @ weighted)
        # One product gives 1 + d²/reach² of each bin: passes over all bins are what takes the time.
        ones = torch.ones_like(self.bins[:, :1])
        to_distance = torch.cat((-2 * self.bins, ones, self.bins.square().sum(1, keepdim=True), ones), dim=1)
        for _ in range(_MODE_STEPS):
            centre = smooth(sums[..., :2] / sums[..., 2:])
            squares = centre.square().sum(-1, keepdim=True)
            unit = torch.ones_like(squares)
            place = torch.cat((torch.cat((centre, squares, unit), -1) / reach.square(), unit), -1)
            sums = mean + light * ((shares / F.linear(place, to_distance).square()) @ weighted)
        return (gain * sums[..., :2] / sums[..., 2:]).permute(0, 3, 1, 2)

    def _annealed_mean(self, raw: Tensor) -> Tensor:
        logits = raw.float().permute(0, 2, 3, 1)
        if self.rebalance:
            logits = logits - self.rebalance * self.weights.log()
        return F.linear(torch.softmax(logits / self.temperature, dim=-1), self.bins.T.contiguous())

    def doubt(self, shares: Tensor, ab: Tensor) -> Tensor:
        """How far ab is expected to be from the truth: the mean distance under the distribution.

        Args:
            shares: (N, h, w, Q), as `shares` gives them.
            ab: (N, 2, h, w) in Lab units, what was made of them.

        Returns:
            (N, 1, h, w) in Lab units.
        """
        distance = self._squared_distance(ab.permute(0, 2, 3, 1)).clamp_min(0.0).sqrt()
        return (shares * distance).sum(-1).unsqueeze(1)

    def shares(self, raw: Tensor, palette: Tensor | None = None) -> Tensor:
        """(N, Q, h, w) logits to the natural distribution (N, h, w, Q): the training loss's weights are taken back.

        Args:
            palette: (N, Q), added to the logits: the era's.
        """
        logits = raw.float().permute(0, 2, 3, 1) - self.weights.log()
        return torch.softmax(logits if palette is None else logits + palette[:, None, None, :], dim=-1)

    def _squared_distance(self, ab: Tensor, rounding: float = 0.0) -> Tensor:
        """(…, 2) to (…, Q): from each ab to each bin, and `rounding` squared, by one matrix product."""
        squares = self.bins.square().sum(1, keepdim=True) + rounding**2
        to_distance = torch.cat((-2 * self.bins, torch.ones_like(squares), squares), dim=1)
        return F.linear(
            torch.cat((ab, ab.square().sum(-1, keepdim=True), torch.ones_like(ab[..., :1])), -1), to_distance
        )

    def _least_cost(self, raw: Tensor, vividness: float | Tensor) -> Tensor:
        """The ab that minimises E[½ d² + vividness · w · d] over the natural distribution, d the distance to the truth
        and w the class weight of the true colour.

        The first term alone asks for the mean, which is true on average and pale; the second for a median in which rare
        colours count as much as common ones, which is vivid. Their sum leaves a pixel pale unless a strong colour is
        likely, where the annealed mean of the reweighted distribution raises all alike: at equal PSNR it reaches more
        of the rare colours (docs/model-card.md). Solved by reweighted means (Weiszfeld 1937).

        Args:
            vividness: a number, or (N, h, w, 1).
        """
        natural = self.shares(raw)
        weights = class_weights(prior_of(self.weights), _COST_SHARE)
        # Rows: a, b and 1, so that one product gives a weighted sum and the sum of its weights.
        points = torch.cat((self.bins.T, torch.ones_like(self.bins[:, :1]).T))
        weighted = weights * points
        plain = F.linear(natural, points)
        sums = plain + vividness * F.linear(natural, weighted / (2 * _COST_ROUNDING))
        for _ in range(_COST_STEPS):
            squared = self._squared_distance(sums[..., :2] / sums[..., 2:], _COST_ROUNDING)
            sums = plain + vividness * F.linear(squared.rsqrt_().mul_(natural), weighted)
        return sums[..., :2] / sums[..., 2:]


class _Smoothing:
    """A guided filter (He, Sun, Tang 2013) by lightness.

    Args:
        guide: (N, 1, h, w) in [0, 1].
    """

    def __init__(self, guide: Tensor) -> None:
        self._guide, self._mean = guide, _box(guide)
        self._spread = _box(guide * guide) - self._mean.square() + _SMOOTHING_EPS

    def __call__(self, ab: Tensor) -> Tensor:
        """(N, h, w, 2), and so it returns."""
        values = ab.permute(0, 3, 1, 2)
        mean, product = _box(torch.cat((values, self._guide * values), 1)).chunk(2, 1)
        slope = (product - self._mean * mean) / self._spread
        slope, offset = _box(torch.cat((slope, mean - slope * self._mean), 1)).chunk(2, 1)
        return (slope * self._guide + offset).permute(0, 2, 3, 1)


def _box(values: Tensor) -> Tensor:
    radius = _SMOOTHING_RADIUS
    for across in (0, 1):  # one way after the other: 18 values for each pixel instead of 81
        window, padding = ((2 * radius + 1, 1), (radius, 0)) if across else ((1, 2 * radius + 1), (0, radius))
        values = F.avg_pool2d(values, window, stride=1, padding=padding, count_include_pad=False)
    return values


Head = RegressionHead | ClassesHead


def build_head(config: HeadConfig) -> Head:
    if config.kind == "regression":
        return RegressionHead(config.ab_scale)
    if config.kind == "classes":
        decodings = None if config.decodings is None else Decodings(config.decodings)
        return ClassesHead(config.temperature, config.rebalance, config.vividness, config.shadow, decodings)
    raise ValueError(f"unknown head {config.kind!r}; known: classes, regression")
