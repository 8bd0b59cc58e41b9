"""The network's copy is stretched where a scan is faded, and left alone where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from restore.merge import shrink_luma
from restore.view import network_view


@pytest.mark.parametrize(("gain", "offset"), [(0.4, 0.35), (0.6, 0.2), (0.3, 0.6)])
def test_faded_scans_look_like_sound_ones(gain: float, offset: float) -> None:
    sound = shrink_luma(data.camera(), 192)
    assert np.abs(network_view(sound * np.float32(gain) + np.float32(offset)) - network_view(sound)).mean() < 0.05


def test_sound_and_empty_ones_stay() -> None:
    sound = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    assert network_view(sound) is sound
    dark = sound * np.float32(0.35)
    assert network_view(dark) is dark
    flat = np.full((64, 64), 0.5, np.float32)
    assert network_view(flat) is flat
