"""Cross-entropy of a distribution: against training's own loss, and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage import data

from restore.color import rgb_to_lab
from restore.cross_entropy import CrossEntropyMeter, true_ab
from restore.networks.heads import ClassesHead, class_weights
from restore.soft_labels import rows_of, soft_labels
from train.losses import SoftLabels, balanced_cross_entropy


@pytest.fixture(scope="module")
def head() -> ClassesHead:
    """With weights as training has them: of a prior in which grey is common and strong colours are rare."""
    head = ClassesHead(0.7, 0.0)
    head.weights.copy_(class_weights(torch.exp(-head.bins.norm(dim=1) / 12)))
    return head


def test_labels_are_gaussian_over_the_five_nearest_bins(head: ClassesHead) -> None:
    bins = head.bins.numpy()
    labels = soft_labels(bins)
    row = rows_of(np.array([[(23.4, -8.3)]], np.float32))[0]
    distance = np.linalg.norm(bins - (23, -8), axis=1)
    assert labels.nearest[row].tolist() == np.argsort(distance)[:5].tolist()
    expected = np.exp(-(distance[labels.nearest[row]] ** 2) / 50)
    assert labels.shares[row] == pytest.approx(expected / expected.sum(), abs=1e-5)
    # Colours beyond the table count as its end.
    assert rows_of(np.array([[(300, -300)]], np.float32))[0] == rows_of(np.array([[(110, -110)]], np.float32))[0]


def test_balanced_is_the_loss_of_training(head: ClassesHead) -> None:
    torch.manual_seed(2)
    logits = 3 * torch.randn(3, head.out_channels, 6, 4)
    ab = 40 * torch.randn(3, 2, 6, 4)
    wanted = float(balanced_cross_entropy(logits, ab, SoftLabels(head.bins), head.weights))
    meter = CrossEntropyMeter(head.bins.numpy(), head.weights.numpy())
    for shares, colours in zip(head.shares(logits), ab, strict=True):
        meter.add(shares.numpy(), colours.permute(1, 2, 0).numpy())
    assert meter.scores().balanced == pytest.approx(wanted, rel=1e-5)
    # Natural: the same with no weights, on the distribution that the weights are taken back from.
    plain = float(
        balanced_cross_entropy(
            logits - head.weights.log()[:, None, None], ab, SoftLabels(head.bins), torch.ones_like(head.weights)
        )
    )
    assert meter.scores().natural == pytest.approx(plain, rel=1e-5)
    assert abs(plain - wanted) > 0.01


def test_one_guess_for_all_pixels_costs_its_entropy_at_best() -> None:
    bins = np.array([(0, 0), (100, 0), (0, 100), (-100, 0), (0, -100)], np.float32)  # so far apart that labels are hard
    weights = np.array([1, 3, 1, 1, 1], np.float32)
    ab = np.array([[(0, 0), (0, 0), (0, 0), (100, 0)]], np.float32)
    meter = CrossEntropyMeter(bins, weights)
    guess = np.array([0.75, 0.25, 0, 0, 0], np.float32)
    meter.add(np.tile(guess, (1, 4, 1)), ab)
    scores = meter.scores()
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert scores.natural == pytest.approx(entropy, abs=1e-6)
    assert scores.natural_known == pytest.approx(entropy, abs=1e-6)
    # Balanced, the guess is ½ and ½ (¼ counts three times), and so are the weighted labels.
    assert scores.balanced == pytest.approx(math.log(2), abs=1e-6)
    assert scores.balanced_known == pytest.approx(math.log(2), abs=1e-6)


def test_a_share_of_nothing_is_dear_and_finite() -> None:
    bins = np.array([(0, 0), (100, 0), (0, 100), (-100, 0), (0, -100)], np.float32)
    meter = CrossEntropyMeter(bins, np.ones(5, np.float32))
    meter.add(np.array([[(0, 1, 0, 0, 0)]], np.float32), np.zeros((1, 1, 2), np.float32))
    assert 80 < meter.scores().natural < 90


def test_merged_meters_are_one_and_an_empty_one_says_nothing(head: ClassesHead) -> None:
    rng = np.random.default_rng(0)
    whole, left, right = (CrossEntropyMeter(head.bins.numpy(), head.weights.numpy()) for _ in range(3))
    for i in range(4):
        shares = head.shares(torch.from_numpy(rng.normal(size=(1, head.out_channels, 3, 3))).float())[0].numpy()
        ab = rng.normal(0, 30, (3, 3, 2)).astype(np.float32)
        whole.add(shares, ab)
        (left if i % 2 else right).add(shares, ab)
    left.merge(right)
    assert left.scores().balanced == pytest.approx(whole.scores().balanced, rel=1e-12)
    assert left.scores().natural_known == pytest.approx(whole.scores().natural_known, rel=1e-12)
    with pytest.raises(ValueError, match="no picture"):
        CrossEntropyMeter(head.bins.numpy(), head.weights.numpy()).scores()


def test_true_colours_are_means_over_the_cells_of_the_guess() -> None:
    photo = np.asarray(data.astronaut(), np.uint8)  # 512 × 512
    blocks = np.floor(photo.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3)) + 0.5).astype(np.float32) / 255
    lab = rgb_to_lab(np.ascontiguousarray(blocks.transpose(2, 0, 1)))
    expected = lab[1:].reshape(2, 16, 4, 16, 4).mean(axis=(2, 4)).transpose(1, 2, 0)
    assert np.abs(true_ab(photo, 64, 16, 16) - expected).max() < 0.2  # OpenCV rounds means of 8 bits its own way
    assert true_ab(photo[:40, :30], 64, 16, 16).shape == (16, 16, 2)
