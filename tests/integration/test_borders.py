"""Borders stay neutral, and the picture inside is coloured as if it were cut out: by every way, with the shipped
model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image
from skimage import data

from restore import Colorizer
from restore.color import lab_from_array
from restore.colorizers import load_engine
from restore.evaluate import EvalOptions, evaluate_photos
from restore.options import EngineOptions
from restore.photos.reading import read_photo
from restore.photos.sweep import sweep
from restore.web.views import read_to_show, write_doubt, write_early_view
from tests.conftest import Result

Run = Callable[..., Result]
Samples = npt.NDArray[np.uint8]
Sides = tuple[int, int, int, int]
LAB = 2.0
"""What colours inside may differ by from those of the picture alone, in Lab units."""


def photo(name: str) -> Samples:
    return np.asarray(cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY))


def padded(luma: Samples, sides: Sides, tone: float, noise: float = 0.0) -> Samples:
    """With borders of so many pixels at top, bottom, left and right."""
    top, bottom, left, right = sides
    full = np.random.default_rng(0).normal(tone, noise, (luma.shape[0] + top + bottom, luma.shape[1] + left + right))
    full[top : top + luma.shape[0], left : left + luma.shape[1]] = luma
    return np.rint(np.clip(full, 0, 255)).astype(np.uint8)


def letterboxed(luma: Samples) -> tuple[Samples, Sides]:
    sides = (61, 60, 0, 0)
    return padded(luma, sides, 0), sides


def side_bars(luma: Samples) -> tuple[Samples, Sides]:
    sides = (0, 0, 71, 90)
    return padded(luma, sides, 24, 2.0), sides


def margin(luma: Samples) -> tuple[Samples, Sides]:
    sides = (21, 63, 21, 22)
    return padded(luma, sides, 245, 2.0), sides


def nested(luma: Samples) -> tuple[Samples, Sides]:
    """A print with its white margin, on a mount, on a scanner's bed."""
    mount = padded(padded(luma, (15, 15, 15, 15), 240, 2.0), (41, 43, 50, 50), 150, 3.0)
    return padded(mount, (33, 0, 0, 44), 80, 4.0), (89, 58, 65, 109)


def inside(picture: npt.NDArray[np.generic], sides: Sides) -> npt.NDArray[np.generic]:
    top, bottom, left, right = sides
    return picture[top : picture.shape[0] - bottom, left : picture.shape[1] - right]


def around(picture: npt.NDArray[np.generic], sides: Sides, gap: int = 0) -> npt.NDArray[np.generic]:
    """The pixels of the border, but for so many next to the picture."""
    mask = np.ones(picture.shape[:2], bool)
    inside(mask, tuple(max(0, side - gap) for side in sides))[:] = False  # type: ignore[arg-type]
    return picture[mask]


def chroma(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    return np.ptp(pixels.astype(np.int64), axis=-1)


def distance(one: Samples, other: Samples) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm(lab_from_array(one) - lab_from_array(other), axis=2), np.float32)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer(device="cpu")


@pytest.mark.parametrize("jpeg", [False, True])
@pytest.mark.parametrize("frame", [letterboxed, side_bars, margin, nested])
@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_inside_as_if_alone_and_neutral_around(
    name: str, frame: Callable[[Samples], tuple[Samples, Sides]], jpeg: bool, colorizer: Colorizer
) -> None:
    bordered, sides = frame(photo(name))
    if jpeg:
        code = cv2.imencode(".jpg", bordered, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
        bordered = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    alone = colorizer.colorize(np.ascontiguousarray(inside(bordered, sides)).astype(np.uint8))
    result = colorizer.colorize(bordered)
    assert np.array_equal(np.asarray(Image.fromarray(result).convert("L")), bordered)
    assert chroma(alone).mean() > 10
    # JPEG's ringing may move an edge by a pixel.
    off = distance(np.asarray(inside(result, sides), np.uint8), alone)
    assert np.percentile(off, 99) < LAB and (jpeg or off.max() < LAB)
    assert not chroma(around(result, sides, 2 * jpeg)).any()
    assert result.shape == (*bordered.shape, 3)


def test_deep_scans_are_alike(colorizer: Colorizer) -> None:
    bordered, sides = margin(photo("coffee"))
    deep = bordered.astype(np.uint16) * 257
    result = colorizer.colorize(deep)
    alone = colorizer.colorize(np.ascontiguousarray(inside(deep, sides)).astype(np.uint16))
    assert np.array_equal(inside(result, sides), alone)
    assert not chroma(around(result, sides)).any()


def test_doubt_has_none_for_borders(colorizer: Colorizer) -> None:
    luma = photo("coffee")
    bordered, sides = letterboxed(luma)
    doubt = colorizer.doubt(bordered)
    assert not around(doubt, sides).any()
    assert np.allclose(inside(doubt, sides), colorizer.doubt(luma), atol=0.01)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_photos_of_any_format(suffix: str, tmp_path: Path, restore_photos: Run) -> None:
    luma = photo("astronaut")
    bordered, sides = side_bars(luma)
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(bordered).save(folder / f"bordered{suffix}", quality=97)
    Image.fromarray(luma).save(folder / f"alone{suffix}", quality=97)
    run = restore_photos(folder, "--output", tmp_path / "out", "--quality", 97, model="default")
    assert run.code == 0, run.err
    notes = {Path(entry["path"]).stem: entry.get("notes", []) for entry in run.report["files"]}
    assert "its borders were left grey" in notes["bordered"] and notes["alone"] == []
    with (
        Image.open(tmp_path / "out" / f"bordered{suffix}") as first,
        Image.open(tmp_path / "out" / f"alone{suffix}") as second,
    ):
        result, alone = (np.asarray(image.convert("RGB")) for image in (first, second))
    # JPEG enlarges chroma across the edge, by a pixel, and rounds it in blocks of 16.
    lossy = suffix == ".jpg"
    assert chroma(around(result, sides, 2 * lossy)).max() <= 6 * lossy
    assert chroma(around(result, sides, 16 * lossy)).max() <= 2 * lossy
    assert distance(np.asarray(inside(result, sides), np.uint8), alone).mean() < (LAB if lossy else 0.01)


def test_pages_of_a_document_are_framed_each_by_itself(tmp_path: Path, restore_photos: Run) -> None:
    luma = photo("coffee")
    first, sides = letterboxed(luma)
    second = photo("chelsea")
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tiff:
        for page in (first, second):
            tiff.write(page, photometric="minisblack")
    run = restore_photos(tmp_path / "pages.tif", "--output", tmp_path / "out", model="default")
    assert run.code == 0, run.err
    assert run.report["files"][0]["notes"] == ["its borders were left grey (1 of 2 pages)"]
    pages = [page.asarray() for page in tifffile.TiffFile(tmp_path / "out" / "pages.tif").pages]
    assert not chroma(around(pages[0], sides)).any()
    colorizer = Colorizer(device="cpu")
    assert np.array_equal(inside(pages[0], sides), colorizer.colorize(luma))
    assert np.array_equal(pages[1], colorizer.colorize(second))


def test_the_sweep_and_the_page_see_the_picture_too(tmp_path: Path) -> None:
    luma = photo("astronaut")
    bordered, sides = side_bars(luma)
    path = tmp_path / "bordered.png"
    Image.fromarray(bordered).save(path)
    options = EngineOptions(device="cpu", style="vivid", size=192)
    engine = load_engine(options)
    expected = Colorizer(device="cpu", style="vivid", size=192).colorize(luma)
    (row,) = sweep(read_photo(path, 10**8), options)
    whole = row.pictures[2]
    assert np.array_equal(inside(whole, sides), expected)
    assert not chroma(around(whole, sides)).any()
    write_early_view(read_to_show(path, 10**8), tmp_path / "early.jpg", engine, 1.0)
    early = np.asarray(Image.open(tmp_path / "early.jpg"))
    assert distance(np.asarray(inside(early, sides), np.uint8), expected).mean() < LAB
    assert chroma(around(early, sides, 9)).max() <= 3
    write_doubt(path, tmp_path / "doubt.jpg", engine, 10**8)
    doubt = np.asarray(Image.open(tmp_path / "doubt.jpg").convert("L"), float)
    assert around(doubt, sides, 9).mean() < 40 < inside(doubt, sides).mean()


def test_faded_scans_in_a_white_margin_are_stretched_in_the_library_as_elsewhere(colorizer: Colorizer) -> None:
    """The margin is no white that the picture has; and the library stretches as `restore photos` does."""
    luma = photo("coffee")
    faded = np.rint(luma * 0.4 + 90).astype(np.uint8)
    bordered, sides = margin(faded)
    plain, alone = colorizer.colorize(luma), colorizer.colorize(faded)
    assert distance(np.asarray(inside(colorizer.colorize(bordered), sides), np.uint8), alone).max() < LAB
    assert chroma(alone).mean() > 0.6 * chroma(plain).mean()


def test_figures_are_those_of_what_photos_get(tmp_path: Path) -> None:
    """A coloured picture with a white margin is measured as `restore photos` colours it: the margin costs nothing."""
    original = data.astronaut()
    bordered = np.full((600, 600, 3), 245, np.uint8)
    bordered[40:552, 44:556] = original
    Image.fromarray(bordered).save(tmp_path / "a.png")
    engine = EngineOptions(device="cpu")
    scores = evaluate_photos(EvalOptions(tmp_path), engine).scores
    ours = Colorizer(device="cpu").colorize(np.asarray(Image.fromarray(original).convert("L")))
    expected = bordered.astype(float)
    expected[40:552, 44:556] = ours
    error = np.mean((expected - bordered) ** 2)
    assert scores.model.psnr == pytest.approx(10 * np.log10(255**2 / error), abs=0.02)
