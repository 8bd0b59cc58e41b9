"""`--confidence` and `--calm` through the command line, with the shipped model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from restore.color import lab_from_array
from restore.heatmap import TOP, draw_heat_map, heat_colors
from tests.conftest import Result
from tests.films import make_film
from tests.pictures import chroma_of, colourful, files_below, grey, luma_of, save_grey

Run = Callable[..., Result]
MARK = ".restore-confidence"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(data.coffee()).convert("L").save(folder / "coffee.jpg")
    Image.fromarray(grey().astype(np.uint16) * 257).save(folder / "deep.png")
    colourful().save(folder / "kept.png")
    tifffile.imwrite(folder / "pages.tif", np.stack([grey(), grey(seed=2)]), photometric="minisblack")
    return folder


def test_a_map_beside_each_result_and_the_results_as_without(
    archive: Path, tmp_path: Path, restore_photos: Run
) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert restore_photos(archive, "--output", plain, model="default").code == 0
    result = restore_photos(archive, "--output", out, "--confidence", model="default")
    assert result.code == 0, result.err
    maps = {
        f"coffee.jpg{MARK}.png",
        f"deep.png{MARK}.png",
        f"pages.tif{MARK}-page-1.png",
        f"pages.tif{MARK}-page-2.png",
    }
    assert files_below(out) == files_below(plain) | maps
    assert all((plain / name).read_bytes() == (out / name).read_bytes() for name in files_below(plain))
    entries = {Path(entry["path"]).name: entry for entry in result.report["files"]}
    assert {path for entry in entries.values() for path in entry.get("confidence", ())} == {str(out / n) for n in maps}
    assert "confidence" not in entries["kept.png"] and 2 < entries["coffee.jpg"]["doubt"] < 60
    with Image.open(out / f"coffee.jpg{MARK}.png") as picture:
        assert picture.width >= data.coffee().shape[1] and picture.height > data.coffee().shape[0]
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50

    # Results and maps as the input of another run: the maps are no photos.
    again = restore_photos(out, "--output", tmp_path / "again", "--already-color", "recolor", model="default")
    assert again.code == 0
    assert files_below(tmp_path / "again") == files_below(plain)
    assert {again.status(name) for name in maps} == {"skipped"}
    # What has maps is done for a run without them too; results that are made anew leave no maps of the old ones.
    for options in (["--confidence"], []):
        assert restore_photos(archive, "--output", out, *options, model="default").report["summary"]["done"] == 0
    assert restore_photos(archive, "--output", out, "--saturation", "0.5", model="default").code == 0
    assert files_below(out) == files_below(plain)


def test_no_result_has_the_name_of_a_map(tmp_path: Path, restore_photos: Run) -> None:
    names = (f"a.png{MARK}.png", f"a.png{MARK.upper()}", f"a.png{MARK}.tif")
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        with (tmp_path / "in" / name).open("wb") as stream:
            Image.fromarray(grey(seed=4)).save(stream, "PNG")
    save_grey(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    # Nor is a photo left out whose map can't have its name.
    save_grey(tmp_path / "long" / ("x" * 245 + ".png"))
    (file,) = restore_photos(tmp_path / "long", "--confidence", model="default").report["files"]
    assert file["status"] == "done" and "its map could not be made" in file["notes"][0] and "confidence" not in file
    for extra in ((), ("--format", "png"), ("--overwrite",)):
        result = restore_photos(tmp_path / "in", "--output", out, "--confidence", *extra, model="default")
        assert result.code == 0, result.err
        assert {result.status(name) for name in names} == {"skipped"}
        assert files_below(out) == {"a.png", f"a.png{MARK}.png"}


def test_a_model_that_can_not_say_ends_the_run_before_anything_is_written(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.png")
    for options in (("--confidence",), ("--calm", "0.5")):
        result = restore_photos(tmp_path / "in", "--output", tmp_path / "out", *options)
        assert (result.code, files_below(tmp_path / "out")) == (2, set())
        assert f"{options[0]} needs a model that says how sure it is" in result.err
        assert restore_photos(tmp_path / "in", "--dry-run", *options, with_report=False).code == 2
    assert restore_photos(tmp_path / "in", "--calm", "2").code == 2
    assert restore_photos(tmp_path / "in", "--confidence", "--verify").code == 2


def test_on_a_full_disk_maps_are_whole_or_not_there(
    small_disk: Path, tmp_path: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restore.photos.estimate.free_space", lambda folder: 10**12)  # others fill it later
    for number in range(6):
        save_grey(tmp_path / "in" / f"{number}.png", 500, 400, seed=number)
    (small_disk / "ballast").write_bytes(os.urandom(1_200_000))
    result = restore_photos(tmp_path / "in", "--output", small_disk / "out", "--confidence", model="default")
    assert result.code == 4 and "disk is full" in result.err
    left = list((small_disk / "out").glob("*.png"))
    assert left and not list((small_disk / "out").glob(".*.part"))
    for path in left:
        with Image.open(path) as picture:
            picture.load()
    done = {path for path in left if MARK not in path.name}
    assert {path.with_name(f"{path.name}{MARK}.png") for path in done} <= set(left)


def test_calm_photos_have_less_colour_and_the_same_grey(archive: Path, tmp_path: Path, restore_photos: Run) -> None:
    chroma = {}
    for calm in ("0", "0.5", "1"):
        out = tmp_path / calm
        options = ("--output", out, "--format", "png", "--calm", calm)
        assert restore_photos(archive / "coffee.jpg", *options, model="default").code == 0
        chroma[calm] = chroma_of(out / "coffee.png")
        assert np.abs(luma_of(out / "coffee.png") - luma_of(archive / "coffee.jpg")).max() == 0
    assert 0.3 * chroma["0"] < chroma["1"] < 0.95 * chroma["0.5"] < 0.9 * chroma["0"]


def test_calm_films(tmp_path: Path, restore_video: Run) -> None:
    film, chroma, luma = make_film(tmp_path / "film.mkv", 50), {}, {}
    for calm in ("0", "1"):
        out = tmp_path / f"{calm}.mkv"
        options = ("--output", out, "--calm", calm, "--codec", "ffv1")
        result = restore_video(film, *options, model="default")
        assert result.code == 0, result.err
        chroma[calm], luma[calm] = planes(out)
    assert 0 < chroma["1"] < 0.95 * chroma["0"]
    assert luma["0"] == luma["1"]


def planes(path: Path) -> tuple[float, list[bytes]]:
    """Mean distance of Cb and Cr from neutral, and the luma of each frame."""
    import av

    distances, lumas = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            height = frame.height
            array = frame.reformat(format="yuv420p").to_ndarray()
            distances.append(np.abs(array[height:].astype(float) - 128).mean())
            lumas.append(array[:height].tobytes())
    return float(np.mean(distances)), lumas


def test_the_colour_map_is_even_and_its_scale_tells() -> None:
    ramp = np.linspace(0, TOP, 256, dtype=np.float32)[None]
    lab = lab_from_array(heat_colors(ramp))[0]
    steps = np.diff(lab[::16, 0])
    assert (steps > 0).all() and steps.max() < 2 * steps.mean()  # lightness alone tells: also without sight of hue
    assert (heat_colors(np.float32([[-1, 0, TOP, 99]]))[0, ::3] == heat_colors(np.float32([[0, TOP]]))[0]).all()
    sheet = np.asarray(draw_heat_map(np.full((60, 40), 20.0, np.float32), "words"))
    bar = heat_colors(np.linspace(0, TOP, 9, dtype=np.float32)[None])[0].astype(int)
    below = sheet[76:].reshape(-1, 3).astype(int)
    assert all((np.abs(below - color).max(axis=1) <= 4).any() for color in bar)
