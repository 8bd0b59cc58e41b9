"""Losses on ab, of generators and of discriminators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from restore.color import lab_to_rgb, unscale_l
from restore.soft_labels import EXTENT, soft_labels

_ROWS = 1024  # of logits: a megabyte
_LEAST = 1e-37


def at_size(ab: Tensor, height: int, width: int) -> Tensor:
    """(N, C, H, W) to (N, C, height, width) by area averaging."""
    return ab if ab.shape[-2:] == (height, width) else F.interpolate(ab, (height, width), mode="area")


class SoftLabels:
    """The table of `restore.soft_labels` on the device of `bins`: (221 · 221, 5) bins and shares."""

    def __init__(self, bins: Tensor) -> None:
        table = soft_labels(bins.cpu().numpy())
        self.nearest = torch.from_numpy(table.nearest).to(bins.device)
        self.shares = torch.from_numpy(table.shares).to(bins.device)
        self.count = len(bins)

    def rows(self, ab: Tensor) -> Tensor:
        """(N, 2, h, w) in Lab units to rows of the table, (N·h·w,)."""
        whole = ab.round().clamp(-EXTENT, EXTENT).long() + EXTENT
        return (whole[:, 0] * (2 * EXTENT + 1) + whole[:, 1]).flatten()

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
    weight = weights[nearest[:, 0]]
    flat = logits.permute(0, 2, 3, 1).reshape(-1, labels.count)
    loss: Tensor = _CrossEntropy.apply(flat, nearest, labels.shares[rows], weight / weight.sum())
    return loss


class _CrossEntropy(torch.autograd.Function):
    """Weighted sum of cross-entropies. Its gradient is made with it, some rows at a time while they are in the
    processor's cache: in bf16 in two thirds of the time that one operation after the other takes over all of them.
    A share below 1e-37 counts as that.

    Args:
        logits: (M, Q). nearest, shares: (M, 5) bins and their shares. weight: (M,) of each row.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, nearest: Tensor, shares: Tensor, weight: Tensor) -> Tensor:
        loss = torch.zeros((), device=logits.device)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        rows = _ROWS if logits.device.type == "cpu" else max(1, len(logits))
        for first in range(0, len(logits), rows):
            part = slice(first, first + rows)
            weighted = shares[part] * weight[part, None]
            p = torch.softmax(logits[part].float(), dim=1)
            loss -= (weighted * p.gather(1, nearest[part]).clamp_min_(_LEAST).log_()).sum()
            if gradient is not None:
                gradient[part] = p.mul_(weight[part, None]).scatter_add_(1, nearest[part], weighted.neg_())
        ctx.save_for_backward(*([] if gradient is None else [gradient]))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad.to(gradient.dtype), None, None, None


_PIXEL = {"l1": F.l1_loss, "mse": F.mse_loss, "huber": F.smooth_l1_loss}


def pixel_loss(name: str, output: Tensor, scaled_ab: Tensor) -> Tensor:
    """L1, MSE or Huber (`smooth_l1`) between scaled ab.

    Args:
        output: (N, 2, h, w) in [−1, 1].
        scaled_ab: (N, 2, H, W), likewise; reduced to the output's size by area averaging.
    """
    return _PIXEL[name](output.float(), at_size(scaled_ab, *output.shape[-2:]))


def discriminator_loss(kind: str, on_real: Tensor, on_fake: Tensor) -> tuple[Tensor, Tensor]:
    """The halves of the discriminator's loss, for real and fake; their mean is the loss.

    Args:
        kind: `vanilla` (Goodfellow et al. 2014, arXiv:1406.2661), `lsgan` (Mao et al. 2016, arXiv:1611.04076) or
            `hinge` (Lim & Ye 2017, arXiv:1705.02894).
        on_real, on_fake: logits of any shape.
    """
    real, fake = on_real.float(), on_fake.float()
    if kind == "hinge":
        return F.relu(1 - real).mean(), F.relu(1 + fake).mean()
    return _towards(kind, real, 1.0), _towards(kind, fake, 0.0)


def adversarial_loss(kind: str, on_fake: Tensor) -> Tensor:
    """What the generator pays for fakes that are found out; see `discriminator_loss`."""
    fake = on_fake.float()
    return -fake.mean() if kind == "hinge" else _towards(kind, fake, 1.0)


def _towards(kind: str, logits: Tensor, label: float) -> Tensor:
    wanted = torch.full_like(logits, label)
    return F.mse_loss(logits, wanted) if kind == "lsgan" else F.binary_cross_entropy_with_logits(logits, wanted)


def colorfulness_loss(scaled_l: Tensor, scaled_ab: Tensor, ab_scale: float) -> Tensor:
    """1 − colourfulness / 100 of the coloured pictures (DDColor, Kang et al. 2023, arXiv:2212.11613, equation 5).

    Colourfulness is Hasler and Süsstrunk's, of sRGB in levels of 255, a picture at a time.

    Args:
        scaled_l: (N, 1, H, W) in [−1, 1]. scaled_ab: (N, 2, h, w) in [−1, 1].
    """
    red, green, blue = (255 * to_rgb(scaled_l, scaled_ab, ab_scale)).unbind(1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue)).flatten(2)  # (2, N, pixels)
    # The roots' slope at zero is infinite, and a grey picture stands there.
    spread = (opponents.var(2).sum(0) + 1e-3).sqrt()
    offset = (opponents.mean(2).square().sum(0) + 1e-3).sqrt()
    return 1 - ((spread + 0.3 * offset) / 100).mean()


def to_rgb(scaled_l: Tensor, scaled_ab: Tensor, ab_scale: float) -> Tensor:
    """sRGB in [0, 1], clipped, (N, 3, h, w), of L (N, 1, H, W) and ab (N, 2, h, w), both in [−1, 1]; differentiable."""
    lightness = unscale_l(at_size(scaled_l.float(), *scaled_ab.shape[-2:]))
    return lab_to_rgb(torch.cat((lightness, scaled_ab.float() * ab_scale), dim=1)).clamp(0, 1)
