"""What samples are told in training: whose colours, where, how often, and by which seed."""

from __future__ import annotations

import pytest
import torch
from skimage import data

from restore.color import AB_SCALE, rgb_to_lab
from train.hints import simulated_hints

SIZE = 128


@pytest.fixture(scope="module")
def ab() -> torch.Tensor:
    """Crops of a colourful photo, (8, 2, 128, 128)."""
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1).float() / 255
    return torch.stack([rgb_to_lab(photo[:, 40 * i :, 40 * i :][:, :SIZE, :SIZE])[1:] for i in range(8)])


def many(ab: torch.Tensor, share: float, rounds: int = 100) -> torch.Tensor:
    count = len(ab)
    return torch.cat(
        [simulated_hints(ab, share, 5, range(count * first, count * (first + 1))) for first in range(rounds)]
    )


def test_colors_are_the_means_of_true_patches(ab: torch.Tensor) -> None:
    hints = many(ab, 1.0, 12)
    masks = hints[:, 2]
    assert masks.unique().tolist() == [0, 1]
    assert not hints[:, :2].masked_select((masks == 0)[:, None]).any()
    true = ab.repeat(12, 1, 1, 1)
    single = 0
    for mask, told, colors in zip(masks, hints[:, :2] * AB_SCALE, true, strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        box = (slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1))
        if bool(mask[box].all()):  # one patch alone
            single += 1
            assert max(mask[box].shape) <= 9 * SIZE / 256 + 1
            assert mask[box].shape[0] == mask[box].shape[1]
            mean = colors[:, *box].mean((1, 2))
            assert torch.allclose(told[:, *box], mean[:, None, None].expand_as(told[:, *box]), atol=1e-3)
    assert single > 3


def test_shares_numbers_and_places(ab: torch.Tensor) -> None:
    masks = many(ab, 0.6)[:, 2]
    told = masks.flatten(1).any(1)
    assert float(told.float().mean()) == pytest.approx(0.6, abs=0.05)
    pixels = masks.sum((1, 2))[told]
    assert pixels.min() == 1
    assert pixels.quantile(0.95) > 5 * pixels.median(), "a few are told a lot"
    middle = masks[:, 32:96, 32:96].sum() / masks.sum()
    assert 0.35 < float(middle) < 0.6, "a quarter of the area has about half of them"
    edges = 1 - masks[:, 12:-12, 12:-12].sum() / masks.sum()
    assert float(edges) > 0.12
    assert not many(ab, 0.0, 3).any()


def test_a_sample_is_told_the_same_whatever_it_is_batched_with(ab: torch.Tensor) -> None:
    whole = simulated_hints(ab, 0.7, 3, range(8))
    parts = [simulated_hints(ab[i : i + 2], 0.7, 3, range(i, i + 2)) for i in range(0, 8, 2)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole[:, 2], simulated_hints(ab, 0.7, 4, range(8))[:, 2])
    assert not torch.equal(whole[:, 2], simulated_hints(ab, 0.7, 3, range(8, 16))[:, 2])


def test_nobody_tells_a_grey_picture_anything(ab: torch.Tensor) -> None:
    faint = ab.clone()
    faint[::2] = 7 + faint[::2] / faint[::2].abs().max() * 2.4
    hints = simulated_hints(faint, 1.0, 0, range(8))
    assert hints[:, 2].flatten(1).any(1).tolist() == [False, True] * 4
    assert not hints[::2].any()
