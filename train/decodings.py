"""Fit how a classes model's shares become colours, for each style and era: what `restore.decoding` describes.

python -m train.decodings CHECKPOINT --data PHOTOGRAPHS --period-data PHOTOGRAPHS --output decodings.json

The weights of the bins are smooth over hue and chroma. They, pull, reach and gain are found by Adam on pixels of
training pictures: little error, hues that are not wrong, colours distributed as the true ones, as much colour as the
style asks for, and little magenta where the truth is grey, which is what people complain about. `python -m
train.publish --decodings FILE` puts them into a model.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from restore.checkpoint import load_checkpoint
from restore.color import lab_from_array, lightness_from_luma, scale_l
from restore.decoding import Decoding
from restore.errors import UsageError
from restore.files import write_atomically
from restore.merge import shrink_luma
from restore.model_files import find_checkpoint
from restore.networks import ClassesHead, Model
from restore.networks.heads import prior_of
from restore.options import Era, Style
from restore.sources import PhotoSource, open_source

_PIXELS = 100  # of each picture
_PICTURES = 80  # of each step
_UNIFORM = 0.03  # share of a uniform distribution in the palettes, so that what was not met is not ruled out
_HUES, _CHROMAS = 24, (0.0, 15.0, 35.0, 60.0, 100.0)
_STEPS, _RATE, _MODE_STEPS = 400, 0.04, 3
_REBALANCE = 0.8  # share of the training's class weights that weights start from
# Hues of magenta, and chroma from which and below which it is false: see restore.plausibility.
_MAGENTA, _MAGENTA_REACH, _STRONG, _GREY = -30.0, 45.0, 18.0, 10.0


@dataclass(frozen=True)
class Goal:
    """What a style is asked for.

    Args:
        colorfulness: of the decoded pixels before neighbours are smoothed, as a share of the truth's.
        false_magenta: cost of a per cent of pixels.
        magenta: worth of as much magenta as there is.
    """

    colorfulness: float
    false_magenta: float
    magenta: float


GOALS: dict[Era, dict[Style, Goal]] = {
    "modern": {"vivid": Goal(1.03, 13.0, 12.0), "natural": Goal(0.94, 22.0, 16.0)},
    "period": {"vivid": Goal(1.04, 26.0, 8.0), "natural": Goal(0.96, 24.0, 8.0)},
}


@dataclass(frozen=True)
class Pixels:
    """Of N training pictures: shares (N, P, Q), true ab (N, P, 2) in Lab units, light (N, P, 1), less in shadows."""

    shares: Tensor
    ab: Tensor
    light: Tensor


def collect(model: Model, source: PhotoSource, count: int, seed: int) -> Pixels:
    """Pixels of pictures drawn by `seed`, with what the model says of them."""
    head = model.head
    assert isinstance(head, ClassesHead)
    rng = np.random.default_rng(seed)
    size = model.config.working_size
    shares, colors, lights = [], [], []
    for index in np.sort(rng.permutation(len(source))[:count]).tolist():
        with Image.open(io.BytesIO(source.read(index))) as picture:
            rgb = picture.convert("RGB")
        luma = torch.from_numpy(shrink_luma(np.asarray(rgb.convert("L")), size))[None, None]
        with torch.inference_mode():
            scaled_l = scale_l(lightness_from_luma(luma))
            share = head.shares(model.raw(scaled_l))[0]
            light = head.light(model.at_output(scaled_l))[0]
        small = cv2.resize(np.asarray(rgb), (share.shape[1], share.shape[0]), interpolation=cv2.INTER_AREA)
        ab = torch.from_numpy(np.ascontiguousarray(lab_from_array(np.asarray(small, np.uint8))[..., 1:]))
        chosen = torch.from_numpy(rng.permutation(share.shape[0] * share.shape[1])[:_PIXELS])
        shares.append(share.flatten(0, 1)[chosen])
        colors.append(ab.flatten(0, 1)[chosen])
        lights.append(light.flatten(0, 1)[chosen])
    return Pixels(torch.stack(shares), torch.stack(colors), torch.stack(lights))


def palette(bins: Tensor, period: Tensor, modern: Tensor) -> Tensor:
    """Logarithm of how much more of each bin the period had, (Q,).

    Args:
        period, modern: (…, 2) true ab of pictures of either.
    """

    def share(ab: Tensor) -> Tensor:
        nearest = torch.cat([torch.cdist(part, bins).argmin(1) for part in ab.reshape(-1, 2).split(50_000)])
        met = torch.bincount(nearest, minlength=len(bins)).double()
        return (1 - _UNIFORM) * met / met.sum() + _UNIFORM / len(bins)

    return (share(period) / share(modern)).log().float()


class _Fit:
    """What is fitted, and what it decodes to."""

    def __init__(self, head: ClassesHead, added: Tensor) -> None:
        self.bins, self.palette = head.bins, added
        self._start = _REBALANCE * head.weights.log()
        self._prior = prior_of(head.weights)
        self._basis = _hue_basis(head.bins), _chroma_basis(head.bins)
        self.shape = torch.zeros(_HUES, len(_CHROMAS), requires_grad=True)
        self.numbers = torch.tensor([math.log(0.15), math.log(32.0), math.log(1.2)], requires_grad=True)
        self._points = torch.cat((self.bins.T, torch.ones(1, len(self.bins))))

    def weights(self) -> Tensor:
        """(Q,), of mean 1 over the colours of nature."""
        by_hue, by_chroma = self._basis
        weights = (self._start + ((by_hue @ self.shape) * by_chroma).sum(1)).exp()
        return weights / (weights * self._prior).sum()

    def decode(self, pixels: Pixels) -> Tensor:
        """As `ClassesHead.decode_fitted`, pixel by pixel: neighbours are not there to be smoothed."""
        pull, reach, gain = self.numbers.exp()
        shares = pixels.shares * self.palette.exp()
        shares = shares / shares.sum(-1, keepdim=True)
        weighted = shares * self.weights()
        mean = pull * (shares @ self._points.T)
        sums = mean + pixels.light * (weighted @ self._points.T)
        for _ in range(_MODE_STEPS):
            ab = sums[..., :2] / sums[..., 2:]
            squared = ab.square().sum(-1, keepdim=True) - 2 * (ab @ self.bins.T) + self.bins.square().sum(1)
            near = (1 + squared / reach.square()).square().reciprocal()
            sums = mean + pixels.light * ((near * weighted) @ self._points.T)
        return gain * sums[..., :2] / sums[..., 2:]

    def decoding(self) -> Decoding:
        pull, reach, gain = self.numbers.detach().exp().tolist()
        added, weights = (tuple(_short(v) for v in part.tolist()) for part in (self.palette, self.weights().detach()))
        return Decoding(added, weights, _short(pull), _short(reach), _short(gain))


def fit(head: ClassesHead, pixels: Pixels, goal: Goal, added: Tensor, steps: int = _STEPS, seed: int = 0) -> Decoding:
    """Fit one style.

    Args:
        added: (Q,) the era's palette.
    """
    fitted = _Fit(head, added)
    nearest = torch.cat([torch.cdist(part, head.bins).argmin(-1) for part in pixels.ab.split(100)])
    met = torch.bincount(nearest.flatten(), minlength=len(head.bins)).float()
    rarity = (met.sum() / met.clamp_min(30))[nearest]
    rarity = rarity / rarity.mean()
    optimizer = torch.optim.Adam([fitted.shape, fitted.numbers], _RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / steps)))
    drawn = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randperm(len(pixels.ab), generator=drawn)[:_PICTURES]
        part = Pixels(pixels.shares[index], pixels.ab[index], pixels.light[index])
        loss = _loss(fitted.decode(part), part.ab, rarity[index], goal) + _roughness(fitted.shape)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return fitted.decoding()


def _loss(ab: Tensor, true: Tensor, rarity: Tensor, goal: Goal) -> Tensor:
    """What is wrong with decoded pixels (N, P, 2); weights chosen on the validation set (docs/experiments.md)."""
    squares = (ab - true).square().sum(-1)
    grey = true.square().sum(-1).mean(1)
    decibels = 10 * torch.log10((squares.mean(1) + 20) / (grey + 20)).mean()
    far = (rarity * (squares + 1e-2).sqrt()).mean()  # what rebalanced AuC measures
    chroma, true_chroma = _chroma(ab), _chroma(true)
    turned = (_turn(_hue(ab) - _hue(true))).abs()
    wrong = 100 * (_above(turned, 60, 5) * _above(true_chroma, 15, 1.5) * _above(chroma, 15, 1.5)).mean()
    magenta, true_magenta = _magenta(ab), _magenta(true)
    false = 100 * (magenta * _above(_GREY - true_chroma, 0, 1)).mean()
    enough = (magenta.mean() / true_magenta.mean()).clamp_max(1.2)
    colorful = _colorfulness(ab) / _colorfulness(true)
    terms = 40 * decibels + 0.13 * far + 1.5 * wrong + 30 * _palette_distance(ab, true)
    terms = terms + goal.false_magenta * false - goal.magenta * enough
    return terms + 1500 * (colorful - goal.colorfulness).square() - 150 * colorful


def _roughness(shape: Tensor) -> Tensor:
    return 0.02 * (shape - shape.roll(1, 0)).square().sum() + 0.002 * shape.square().sum()


def _hue(ab: Tensor) -> Tensor:
    # What is grey has no hue, and would have no slope.
    seen = torch.where(ab.square().sum(-1, keepdim=True) > 1e-4, ab, torch.ones_like(ab))
    return torch.rad2deg(torch.atan2(seen[..., 1], seen[..., 0]))


def _chroma(ab: Tensor) -> Tensor:
    return (ab.square().sum(-1) + 1e-4).sqrt()


def _turn(degrees: Tensor) -> Tensor:
    return (degrees + 180) % 360 - 180


def _above(values: Tensor, threshold: float, softness: float) -> Tensor:
    return torch.sigmoid((values - threshold) / softness)


def _magenta(ab: Tensor) -> Tensor:
    off = _turn(_hue(ab) - _MAGENTA).abs()
    return _above(-off, -_MAGENTA_REACH, 6) * _above(_chroma(ab), _STRONG, 2)


def _colorfulness(ab: Tensor) -> Tensor:
    """That of Hasler and Süsstrunk in ab, mean over pictures."""
    spread, mean = ab.var(1, unbiased=False).sum(-1), ab.mean(1).square().sum(-1)
    return ((spread + 1e-3).sqrt() + 0.3 * (mean + 1e-3).sqrt()).mean()


def _palette_distance(ab: Tensor, true: Tensor) -> Tensor:
    """Jensen–Shannon distance of the joint distributions of hue (20) and chroma (10)."""
    ours, theirs = _joint(ab), _joint(true)
    middle = (ours + theirs) / 2
    divergence = sum((0.5 * part * (part / middle).log2()).sum() for part in (ours, theirs))
    return torch.as_tensor(divergence).clamp_min(1e-6).sqrt()


def _joint(ab: Tensor) -> Tensor:
    """(200,) shares, pixels shared out between the bins beside them, so that they have a slope."""
    hue, chroma = _hue(ab).flatten() % 360 / 18, (_chroma(ab).flatten() / 10).clamp(0, 8.99)
    met = torch.zeros(200)
    for h, h_share in ((hue.floor(), 1 - hue % 1), (hue.floor() + 1, hue % 1)):
        for c, c_share in ((chroma.floor(), 1 - chroma % 1), (chroma.floor() + 1, chroma % 1)):
            met = met.index_add(0, (h.long() % 20) * 10 + c.long(), h_share * c_share)
    return met / met.sum() + 1e-6


def _hue_basis(bins: Tensor) -> Tensor:
    """(Q, hues): how near each bin is to each of the hues, the sum of a row is 1."""
    place = _hue(bins) % 360 / 360 * _HUES
    basis = torch.zeros(len(bins), _HUES)
    rows, low = torch.arange(len(bins)), place.floor().long()
    basis[rows, low % _HUES] = 1 - place % 1
    basis[rows, (low + 1) % _HUES] += place % 1
    return basis


def _chroma_basis(bins: Tensor) -> Tensor:
    """(Q, chromas), likewise."""
    knots = torch.tensor(_CHROMAS)
    chroma = bins.norm(dim=1).clamp_max(_CHROMAS[-1])
    low = (torch.searchsorted(knots, chroma, right=True) - 1).clamp(0, len(knots) - 2)
    share = (chroma - knots[low]) / (knots[low + 1] - knots[low])
    basis, rows = torch.zeros(len(bins), len(knots)), torch.arange(len(bins))
    basis[rows, low] = 1 - share
    basis[rows, low + 1] = share
    return basis


def _short(value: float) -> float:
    """Four digits are enough, and a config stays small."""
    return float(f"{value:.4g}")


def decodings(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint, or a run's folder.")],
    data: Annotated[Path, typer.Option(help="Modern colour photographs that the model was trained on.")],
    period_data: Annotated[Path, typer.Option(help="Colour photographs of the period.")],
    output: Annotated[Path, typer.Option(help="JSON file to write.")],
    pictures: Annotated[int, typer.Option(help="So many of each.")] = 1200,
    steps: Annotated[int, typer.Option(help="Of each fit.")] = _STEPS,
    seed: Annotated[int, typer.Option(help="Which pictures, which pixels.")] = 0,
) -> None:
    """Fit the decodings of a model of recipe classes."""
    model, _ = load_checkpoint(find_checkpoint(checkpoint))
    model.eval().requires_grad_(False)
    head = model.head
    if not isinstance(head, ClassesHead):
        raise UsageError(f"{checkpoint} guesses one colour, and has nothing to fit", "Give a model of recipe classes")
    modern, period = (collect(model, open_source(path), pictures, seed) for path in (data, period_data))
    palettes: dict[Era, Tensor] = {
        "modern": torch.zeros(len(head.bins)),
        "period": palette(head.bins, period.ab, modern.ab),
    }
    pixels: dict[Era, Pixels] = {"modern": modern, "period": period}
    found = {
        era: {style: asdict(fit(head, pixels[era], goal, palettes[era], steps, seed)) for style, goal in goals.items()}
        for era, goals in GOALS.items()
    }
    text = json.dumps(found)
    write_atomically(output, lambda stream: stream.write(text.encode()))
    typer.echo(f"wrote {output}")


if __name__ == "__main__":
    typer.run(decodings)
