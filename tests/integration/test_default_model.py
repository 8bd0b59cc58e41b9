"""The shipped model through the library's face: real colour, the grey untouched, whatever the input's type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data

from restore import Colorizer
from restore.checkpoint import load_checkpoint
from restore.color import lab_from_array
from restore.errors import DeviceError, ModelError, UsageError
from restore.metrics import PhotoMeter, colorfulness
from restore.model_files import WEIGHTS_DIR

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(device="cpu", era="modern")


def grey(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("L")


def test_the_shipped_model_is_small_and_says_where_it_comes_from() -> None:
    path = WEIGHTS_DIR / "default.safetensors"
    assert path.stat().st_size < 32 * 2**20
    _, info = load_checkpoint(path)
    assert info.name == "default"
    assert "research" in info.licence
    assert info.training["steps"] > 0


def test_photos_get_real_colour_nearer_to_the_truth_than_grey(colorizer: Colorizer) -> None:
    meter = PhotoMeter()
    for name in PHOTOS:
        meter.add(getattr(data, name)(), np.asarray(colorizer.colorize(grey(name))))
    scores = meter.scores()
    assert 50 < scores.colorfulness_percent < 130
    assert scores.model.psnr > scores.grey.psnr
    assert scores.model.auc_rebalanced > scores.grey.auc_rebalanced


def test_styles_differ_in_colour_and_leave_the_grey() -> None:
    picture = grey("coffee")
    calm, vivid = (
        Colorizer(device="cpu", style=style, era="modern").colorize(picture) for style in ("natural", "vivid")
    )
    assert isinstance(calm, Image.Image) and isinstance(vivid, Image.Image)
    assert colorfulness(np.asarray(vivid)) > 1.1 * colorfulness(np.asarray(calm)) > 10
    assert np.array_equal(np.asarray(calm.convert("L")), np.asarray(picture))


def test_a_model_without_a_distribution_has_no_styles(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="no styles"):
        Colorizer(str(tiny_model), device="cpu", style="vivid")


def test_the_grey_stays(colorizer: Colorizer) -> None:
    picture = grey("coffee")
    coloured = colorizer.colorize(picture)
    assert isinstance(coloured, Image.Image)
    assert np.array_equal(np.asarray(coloured.convert("L")), np.asarray(picture))


def test_arrays_come_back_in_their_depth(colorizer: Colorizer) -> None:
    luma8 = np.asarray(grey("chelsea"))
    assert colorizer.colorize(luma8).dtype == np.uint8
    luma16: npt.NDArray[np.uint16] = luma8.astype(np.uint16) * 257
    result = colorizer.colorize(luma16)
    assert result.dtype == np.uint16
    assert np.abs(result @ np.array([0.299, 0.587, 0.114]) - luma16).max() <= 2


def test_a_picture_on_its_side_is_turned_upright(colorizer: Colorizer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "side.jpg"
    grey("coffee").save(path, exif=exif)
    with Image.open(path) as picture:
        assert colorizer.colorize(picture).size == picture.size[::-1]


def test_many_sizes_keep_their_order(colorizer: Colorizer) -> None:
    pictures = [grey(name).resize((60 + 10 * i, 50)) for i, name in enumerate(PHOTOS * 2)]
    results = list(colorizer.colorize_many(pictures))
    assert [result.size for result in results] == [picture.size for picture in pictures]  # type: ignore[union-attr]
    alone = np.asarray(colorizer.colorize(pictures[3])).astype(int)
    assert np.abs(np.asarray(results[3]).astype(int) - alone).max() <= 2


def test_saturation_scales_the_colour() -> None:
    picture = np.asarray(grey("astronaut"))
    strengths = [
        colorfulness(Colorizer(device="cpu", saturation=saturation).colorize(picture)) for saturation in (0.0, 0.5, 1.0)
    ]
    assert strengths[0] == 0
    assert 0.3 * strengths[2] < strengths[1] < 0.8 * strengths[2]


def test_doubt_tells_where_the_colour_is_wrong_and_calm_heeds_it(colorizer: Colorizer) -> None:
    calm = Colorizer(device="cpu", era="modern", calm=1.0)
    errors, doubts, gains = [], [], []
    for name in PHOTOS:
        original, picture = getattr(data, name)(), np.asarray(grey(name))
        doubt = colorizer.doubt(picture)
        assert doubt.shape == picture.shape and doubt.dtype == np.float32 and doubt.min() >= 0
        calmed = calm.colorize(picture)
        assert np.array_equal(np.asarray(Image.fromarray(calmed).convert("L")), picture)
        ab, ours, calm_ab = (
            lab_from_array(rgb)[::4, ::4, 1:] for rgb in (original, colorizer.colorize(picture), calmed)
        )
        doubts.append(doubt[::4, ::4].ravel())
        errors.append(np.linalg.norm(ours - ab, axis=2).ravel())
        gains.append((np.linalg.norm(calm_ab, axis=2) / (np.linalg.norm(ours, axis=2) + 1)).ravel())
    thirds = np.array_split(np.argsort(np.concatenate(doubts)), 3)
    sure, middle, unsure = (np.concatenate(errors)[part].mean() for part in thirds)
    assert 1.2 * sure < middle and 1.2 * middle < unsure
    kept_where_sure, _, kept_where_unsure = (np.concatenate(gains)[part].mean() for part in thirds)
    assert 1.2 * kept_where_unsure < kept_where_sure < 1


def test_a_model_without_a_distribution_does_not_know_doubt(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=r"doubt\(\) needs"):
        Colorizer(str(tiny_model), device="cpu").doubt(np.zeros((40, 40), np.uint8))
    with pytest.raises(UsageError, match="--calm needs"):
        Colorizer(str(tiny_model), device="cpu", calm=0.5)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ModelError, match="nonsense"):
        Colorizer("nonsense")
    with pytest.raises(DeviceError, match="cuda:9"):
        Colorizer(device="cuda:9")
    with pytest.raises(UsageError, match="100"):
        Colorizer(size=100)


def test_other_types_are_refused(colorizer: Colorizer) -> None:
    with pytest.raises(TypeError, match="float32"):
        colorizer.colorize(np.zeros((8, 8), np.float32))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="str"):
        colorizer.colorize("photo.jpg")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="shape"):
        colorizer.colorize(np.zeros((8, 8, 4), np.uint8))
