"""Hints: what a person may give, how it is drawn, and how models, engine and library go by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import color, data

from restore import Colorizer, Hint
from restore.colorizers import Engine
from restore.colorizers.base import ColorModel
from restore.colorizers.describe import describe
from restore.colorizers.loading import find_twin
from restore.colorizers.network import NetworkColorModel
from restore.colorizers.onnx_export import export_onnx
from restore.colorizers.onnx_model import OnnxColorModel
from restore.errors import UsageError
from restore.hints import draw_hints
from restore.options import EngineOptions
from tests.exported import save_small, small_told_known

MAX_ERROR = 0.01  # Lab units, as docs/architecture.md states of exported models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Small models that take hints, and their exported forms; and one that takes none."""
    folder = tmp_path_factory.mktemp("models")
    with small_told_known():
        for head in ("least_cost", "regression"):
            save_small(folder / f"{head}.safetensors", head, hints=True)
            export_onnx(folder / f"{head}.safetensors", folder / f"{head}.onnx")
        save_small(folder / "plain.safetensors", "least_cost")
        yield folder


def views(count: int, size: int = 64) -> npt.NDArray[np.float32]:
    across = np.linspace(0, 1, size, dtype=np.float32)
    noise = np.random.default_rng(3).random((count, size, size), np.float32)
    return np.asarray(0.7 * (across * across[:, None]) + 0.3 * noise, np.float32)


@pytest.mark.parametrize("given", ["#B4321e", (180, 50, 30), (51.204, 42.054)])
def test_a_color_is_read_as_its_ab(given: str | tuple[float, ...]) -> None:
    expected = color.rgb2lab(np.uint8([[[180, 50, 30]]]))[0, 0, 1:]
    assert Hint(0.5, 0.5, given).ab == pytest.approx(tuple(expected), abs=0.05)
    assert Hint(0.5, 0.5, "#808080").ab == pytest.approx((0, 0), abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1.2, 0.5, "#ff0000"), "outside the picture"),
        ((0.5, float("nan"), "#ff0000"), "outside the picture"),
        ((0.5, 0.5, "#ff0000", -0.1), "radius"),
        ((0.5, 0.5, "red"), "'red' can't be read"),
        ((0.5, 0.5, (300, 0, 0)), "can't be read"),
        ((0.5, 0.5, (10.0, 300.0)), "can't be read"),
        ((0.5, 0.5, (1, 2, 3, 4)), "can't be read"),
    ],
)
def test_what_is_no_hint_is_said(arguments: tuple[float, float, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Hint(*arguments)


def test_a_hint_is_a_disc_of_the_picture_and_a_pixel_at_least() -> None:
    hints = [
        Hint(0.25, 0.5, (40.0, -20.0), radius=0.2),
        Hint(0.75, 0.5, (-30.0, 10.0), radius=0),
        Hint(1, 1, (5.0, 6.0), radius=0),
    ]
    drawn = draw_hints(hints, 64, height=100, width=200)
    mask = drawn[2]
    assert set(np.unique(mask)) == {0, 1}
    rows, columns = np.nonzero(mask[:, :40])
    # 0.2 of the height each way, in a picture twice as wide as it is high that is squeezed into a square.
    assert np.ptp(rows) + 1 == pytest.approx(0.4 * 64, abs=1) and np.ptp(columns) + 1 == pytest.approx(0.2 * 64, abs=1)
    assert (rows.mean(), columns.mean()) == (pytest.approx(31.5, abs=0.6), pytest.approx(15.5, abs=0.6))
    assert drawn[:, 32, 16].tolist() == [40, -20, 1]
    assert np.argwhere(mask[:, 40:63]).tolist() == [[32, 8]]
    assert drawn[:, 63, 63].tolist() == [5, 6, 1]
    assert not drawn[:, mask == 0].any()
    both = draw_hints([hints[0], Hint(0.25, 0.5, (1.0, 2.0), radius=0)], 64, 100, 200)
    assert both[:, 32, 16].tolist() == [1, 2, 1] and both[:, 30, 16].tolist() == [40, -20, 1]


def told(count: int, size: int = 64) -> npt.NDArray[np.float32]:
    hints = [Hint(0.1 + 0.2 * i, 0.3, (30.0 + i, -20.0), radius=0.03) for i in range(count)]
    return np.stack([draw_hints(hints[: i + 1], size, 3, 4) for i in range(count)])


@pytest.mark.parametrize("head", ["least_cost", "regression"])
@pytest.mark.parametrize(("count", "size"), [(1, 64), (3, 128)])
def test_exported_models_are_told_as_pytorch_is(folder: Path, head: str, count: int, size: int) -> None:
    path = folder / f"{head}.safetensors"
    models: list[ColorModel] = [NetworkColorModel.from_file(path), OnnxColorModel(path.with_suffix(".onnx"))]
    results = []
    for model in models:
        model.prepare("cpu", "float32", None)
        assert model.takes_hints
        luma = views(count, size)
        results.append([model.predict(luma), model.predict(luma, hints=told(count, size))])
        assert np.array_equal(results[-1][0], model.predict(luma, hints=np.zeros((count, 3, size, size), np.float32)))
    for ours, theirs in zip(*results, strict=True):
        assert np.abs(ours - theirs).max() < MAX_ERROR
    assert np.abs(results[0][0] - results[0][1]).max() > 1, "they go by what they are told"


def test_doubt_comes_with_hints(folder: Path) -> None:
    path = folder / "least_cost.safetensors"
    model, exported = NetworkColorModel.from_file(path), OnnxColorModel(path.with_suffix(".onnx"))
    model.prepare("cpu", "float32")
    ours, theirs = (one.predict(views(2), doubt=True, hints=told(2)) for one in (model, exported))
    assert ours.shape == (2, 3, 16, 16)
    assert np.abs(ours - theirs).max() < MAX_ERROR


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_batch_may_be_told_of_some_pictures_only(folder: Path, runtime: str) -> None:
    path = folder / "least_cost.safetensors"
    model = NetworkColorModel.from_file(path) if runtime == "torch" else OnnxColorModel(path.with_suffix(".onnx"))
    engine = Engine(model, EngineOptions(device="cpu", batch=3, dtype="float32"))
    lumas, hints = list(views(5)), told(5)
    some = [hints[0], None, None, None, hints[4]]
    plain, mixed = engine.predict(lumas), engine.predict(lumas, hints=some)
    for i in (1, 2, 3):
        assert np.abs(mixed[i] - plain[i]).max() < 1e-3
    for i in (0, 4):
        assert np.abs(mixed[i] - engine.predict([lumas[i]], hints=[hints[i]])[0]).max() < 1e-3
        assert np.abs(mixed[i] - plain[i]).max() > 1
    assert all(
        np.array_equal(ours, theirs)
        for ours, theirs in zip(engine.predict(lumas, hints=[None] * 5), plain, strict=True)
    )


def test_the_library_takes_hints_and_keeps_luma(folder: Path) -> None:
    colorizer = Colorizer(str(folder / "least_cost.safetensors"), device="cpu")
    grey = Image.fromarray(data.chelsea()).convert("L")
    plain = np.asarray(colorizer.colorize(grey), int)
    hinted = colorizer.colorize(grey, hints=[Hint(0.5, 0.5, "#2040c0", radius=0.05)])
    assert np.array_equal(np.asarray(hinted.convert("L")), np.asarray(grey))
    assert np.abs(np.asarray(hinted, int) - plain).max() > 3
    assert np.array_equal(np.asarray(colorizer.colorize(grey, hints=[]), int), plain)


def test_a_model_that_takes_no_hints_says_so(folder: Path) -> None:
    colorizer = Colorizer(str(folder / "plain.safetensors"), device="cpu")
    grey = np.full((40, 40), 90, np.uint8)
    with pytest.raises(UsageError, match="small-least_cost takes none"):
        colorizer.colorize(grey, hints=[Hint(0.5, 0.5, "#2040c0")])
    assert colorizer.colorize(grey).shape == (40, 40, 3)


def test_models_tell_whether_they_take_hints(folder: Path) -> None:
    assert find_twin(folder / "least_cost.safetensors") is not None
    for name, takes in (("least_cost.safetensors", True), ("least_cost.onnx", True), ("plain.safetensors", False)):
        facts = describe(str(folder / name))
        assert facts.takes_hints == takes
        assert ("hints          taken" in facts.as_text()) == takes
