"""Options refuse what makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from restore.errors import UsageError
from restore.options import EngineOptions, PhotoOptions


@pytest.mark.parametrize(
    "given",
    [{"device": "toaster"}, {"device": "cpu:1"}, {"device": "cuda:x"}, {"batch": 0}, {"size": 100}, {"size": 32}],
)
def test_engine_options_refuse(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        EngineOptions(**given)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_engine_options_accept(device: str) -> None:
    assert EngineOptions(device=device, batch=1, size=256).device == device


@pytest.mark.parametrize(
    "given",
    [
        {"inputs": []},
        {"saturation": -0.1},
        {"saturation": float("nan")},
        {"saturation": 9},
        {"quality": 0},
        {"quality": 101},
        {"jobs": 0},
        {"format": "gif"},
        {"already_color": "maybe"},
    ],
)
def test_photo_options_refuse(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        PhotoOptions(**({"inputs": [Path("x")]} | given))
