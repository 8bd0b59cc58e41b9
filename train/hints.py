"""Colours that samples are told in training: patches of their own true colours, as a person might give them.

Numbers, sizes and places after Zhang et al. 2017 (arXiv:1705.02999, and its released training); half of the places are
uniform, since what people point at (uniforms, dresses) stands at the edges too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.color import AB_SCALE

_FEW = 1 / 8  # parameter of the geometric number of hints: eight on average
_MANY, _MOST = 1 / 8, 100  # share of the told samples with any number up to the most
_SIDES = 9 / 256  # the largest patch as a share of the crop's side; the smallest is one pixel
_UNIFORM = 0.5  # share of the places; the others are gaussian around the middle
_LEAST_RANGE = 5.0  # Lab units of ab; a picture of less is nearly grey, and nobody tells it anything


@torch.no_grad()
def simulated_hints(ab: Tensor, share: float, seed: int, numbers: Sequence[int]) -> Tensor:
    """What samples are told, (N, 3, S, S) on the device of `ab`: a, b divided by `AB_SCALE`, and a mask of 0 and 1.

    Args:
        ab: (N, 2, S, S) clean, in Lab units.
        share: of the samples that are told anything.
        seed: of the run.
        numbers: of the samples; what is told follows from them and the seed, whatever else is in the batch.
    """
    count, size = len(ab), ab.shape[-1]
    drawn = np.stack([_patches(np.random.default_rng((seed, 3, number)), share, size) for number in numbers])
    places = drawn.nonzero()
    row, top, left = (torch.from_numpy(axis).to(ab.device) for axis in places)
    patch = row * (_MOST + 1) + torch.from_numpy(drawn[places]).to(ab.device)
    pixels = torch.bincount(patch, minlength=count * (_MOST + 1)).clamp_min(1)
    spread = ab.amax((2, 3)) - ab.amin((2, 3))
    colorful = (spread.amax(1) >= _LEAST_RANGE)[row]
    hints = ab.new_zeros(count, 3, size, size)
    for channel in range(2):
        sums = torch.bincount(patch, ab[row, channel, top, left], minlength=len(pixels))
        hints[row, channel, top, left] = (sums / pixels)[patch] * colorful / AB_SCALE
    hints[row, 2, top, left] = colorful.to(hints)
    return hints


def _patches(rng: np.random.Generator, share: float, size: int) -> npt.NDArray[np.uint8]:
    """Which patch each pixel belongs to, (size, size); 0 for none. Where patches overlap, the later one counts."""
    place = np.zeros((size, size), np.uint8)
    if rng.random() >= share:
        return place
    count = int(rng.integers(1, _MOST + 1)) if rng.random() < _MANY else min(int(rng.geometric(_FEW)), _MOST)
    sides = rng.integers(1, max(1, round(_SIDES * size)), count, endpoint=True)
    room = (size - sides + 1)[:, None]
    spots = np.where(
        rng.random((count, 1)) < _UNIFORM, rng.random((count, 2)) * room, rng.normal(room / 2, room / 4, (count, 2))
    )
    corners = np.clip(spots.astype(np.int64), 0, room - 1)
    for patch, (side, (top, left)) in enumerate(zip(sides, corners, strict=True), 1):
        place[top : top + side, left : left + side] = patch
    return place
