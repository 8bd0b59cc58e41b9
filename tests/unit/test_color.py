"""Colour spaces against skimage, the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as oracle
from skimage import data

from restore.color import (
    cbcr_from_ab,
    lab_from_array,
    lab_to_rgb,
    lightness_from_luma,
    luma_from_rgb,
    rgb_to_lab,
    rgb_to_ycbcr,
    scale_l,
    unscale_l,
    ycbcr_to_rgb,
)

MAX_LAB_ERROR = 0.01  # the error that docs/architecture.md states
MAX_RGB_ERROR = 1e-4


@pytest.fixture(scope="module")
def cube() -> torch.Tensor:
    """Every corner and 33 steps of the RGB cube, (1, 3, 33·33, 33)."""
    steps = torch.linspace(0, 1, 33)
    return torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, 33 * 33, 33)


def test_lab_equals_skimage_over_the_whole_cube(cube: torch.Tensor) -> None:
    ours = rgb_to_lab(cube)[0].permute(1, 2, 0).numpy()
    theirs = oracle.rgb2lab(cube[0].permute(1, 2, 0).numpy().astype(np.float64))
    assert np.abs(ours - theirs).max() < MAX_LAB_ERROR


def test_lab_to_rgb_is_the_inverse(cube: torch.Tensor) -> None:
    assert (lab_to_rgb(rgb_to_lab(cube)) - cube).abs().max() < MAX_RGB_ERROR


def test_array_form_equals_skimage_on_a_photo_larger_than_a_strip() -> None:
    photo = data.astronaut()
    assert np.abs(lab_from_array(photo) - oracle.rgb2lab(photo)).max() < MAX_LAB_ERROR
    deep = photo.astype(np.uint16) * 257
    assert np.abs(lab_from_array(deep) - oracle.rgb2lab(photo)).max() < MAX_LAB_ERROR


def test_luma_is_what_pillow_calls_l() -> None:
    photo = data.coffee()
    luma = luma_from_rgb(torch.from_numpy(photo / 255.0).permute(2, 0, 1))[0].numpy() * 255
    assert np.abs(luma - np.asarray(Image.fromarray(photo).convert("L"))).max() <= 0.501


def test_ycbcr_is_what_jpeg_uses_and_inverts() -> None:
    photo = data.chelsea()
    rgb = torch.from_numpy(photo / 255.0).permute(2, 0, 1)
    ours = rgb_to_ycbcr(rgb)
    theirs = np.asarray(Image.fromarray(photo).convert("YCbCr")).astype(float)
    levels = ours.permute(1, 2, 0).numpy() * 255 + np.array([0, 128, 128])
    assert np.abs(levels - theirs).max() <= 1.01
    assert torch.allclose(ycbcr_to_rgb(ours), rgb, atol=1e-9)


def test_lightness_of_grey_equals_lab_of_that_grey() -> None:
    luma = torch.linspace(0, 1, 256).reshape(1, 1, 256, 1)
    grey = rgb_to_lab(luma.expand(1, 3, 256, 1))
    assert torch.allclose(lightness_from_luma(luma), grey[:, :1], atol=1e-3)
    assert grey[:, 1:].abs().max() < 0.01


def test_scaling_of_l() -> None:
    assert scale_l(torch.tensor([0.0, 50.0, 100.0])).tolist() == [-1.0, 0.0, 1.0]
    assert unscale_l(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 50.0, 100.0]


def test_true_ab_and_luma_give_back_the_true_chroma(cube: torch.Tensor) -> None:
    ycbcr, ab = rgb_to_ycbcr(cube), rgb_to_lab(cube)[:, 1:]

    def error(iterations: int) -> float:
        return float((cbcr_from_ab(ycbcr[:, :1], ab, iterations) - ycbcr[:, 1:]).abs().mean())

    assert error(2) < 0.5 * error(0)
    assert error(20) < 0.01
