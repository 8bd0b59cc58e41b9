"""`--compare`, `--sheet` and `--sweep`: what there is to look at, the page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.errors import OutputError
from restore.options import EngineOptions, PhotoOptions
from restore.photos.page import open_page
from restore.photos.pipeline import restore_photos as restore_by_library
from restore.photos.sweep import SATURATIONS, draw_sweep
from restore.progress import SilentProgress
from restore.report import Record
from tests.browser import Visitor
from tests.conftest import Result
from tests.pictures import colourful, files_below, grey, save_grey

Run = Callable[..., Result]
EVIL = '<img src=x onerror="document.title=1">&amp;\'.png'
BROKEN = "<script>document.title=2<!--.jpg"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Grey photos, one of 16 bit and one with a name to beware of; one in colour, one broken, and a text."""
    folder = tmp_path / "in"
    save_grey(folder / EVIL, 400, 300)
    save_grey(folder / "sub" / "a.jpg", 900, 600)
    tifffile.imwrite(folder / "deep.tif", grey(90, 60).astype(np.uint16) * 257)
    colourful(160, 120).save(folder / "colour.png")
    (folder / BROKEN).write_text("no picture")
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_page_in_a_browser(archive: Path, restore_photos: Run, tmp_path: Path, visit: Visitor) -> None:
    assert restore_photos(archive, "--sheet", tmp_path / "sheet.html", "--compare").code == 8
    address = (tmp_path / "sheet.html").as_uri()
    seen = visit(address, viewport={"width": 400, "height": 900}, color_scheme="dark")
    page = seen.page
    assert page.title() == "Before and after" and seen.hosts() == {""} and len(seen.requests) == 1
    assert page.locator("h2").all_inner_texts() == [EVIL, BROKEN, "colour.png", "deep.tif", "notes.txt", "a.jpg"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(22, 22, 22)"
    assert "3 done, 1 kept, 1 skipped, 1 failed" in page.locator("header").inner_text()
    assert "is not a picture that can be read" in page.locator("article.failed").inner_text()
    assert "it has colour already" in page.locator("article.kept").inner_text()
    assert page.locator("article.kept img").count() == 1 and page.locator("article.failed img").count() == 0
    facts = page.locator("article", has_text="deep.tif").inner_text()
    assert all(fact in facts for fact in ("90 × 60, 16 bit", "neutral", "tiny", "deep.tif.restore-compare.jpg"))

    slider = page.get_by_role("slider", name=EVIL)
    figure = page.locator("figure", has=slider)
    place = slider.bounding_box()
    assert place is not None and place["width"] > 300
    middle = figure.screenshot()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 40)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 1, place["y"] + 40, steps=4)
    page.mouse.up()
    all_before = figure.screenshot()
    assert all_before != middle and slider.input_value() == "100"
    page.keyboard.press("Home")
    all_after = figure.screenshot()
    assert slider.input_value() == "0" and all_after not in (middle, all_before)
    assert _chroma(all_after, tmp_path) > 2 > 0.5 > _chroma(all_before, tmp_path)
    for _ in range(50):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "50" and figure.screenshot() != all_after

    page.get_by_label("failed").check()
    assert page.locator("article:visible").count() == 1
    light = visit(address, color_scheme="light")
    assert light.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def _chroma(screenshot: bytes, folder: Path) -> float:
    """Mean distance between the channels in the upper half, where nothing is written on the picture."""
    (folder / "shot.png").write_bytes(screenshot)
    with Image.open(folder / "shot.png") as image:
        upper = np.asarray(image.convert("RGB"), np.int64)[4 : image.height // 2, 4 : image.width - 4]
    return float(np.ptp(upper, axis=2).mean())


def test_pairs_are_beside_their_results_and_no_photos(archive: Path, restore_photos: Run, tmp_path: Path) -> None:
    # A source whose result would have the name of a pair, were it taken for a photo.
    save_grey(archive / "sub" / "a.jpg.restore-compare.png")
    output = tmp_path / "in-restored"
    first = restore_photos(archive, "--compare", "--format", "jpg")
    names = {Path(EVIL).stem + ".jpg", "deep.jpg", "sub/a.jpg"}
    pairs = {name + ".restore-compare.jpg" for name in names}
    assert files_below(output) == names | pairs | {"colour.png"}
    assert {file.get("compare") for file in first.report["files"]} == {str(output / pair) for pair in pairs} | {None}
    with Image.open(output / "sub" / "a.jpg.restore-compare.jpg") as pair:
        halves = np.split(np.asarray(pair.convert("RGB"), np.int64)[30:], [pair.width // 2], axis=1)
    before, after = (float(np.ptp(half, axis=2).mean()) for half in halves)
    assert before < 0.5 < 2 < after and pair.width > 1500

    # Again: a pair that is missing is made, the others are left alone; coloured anew, all are made anew.
    missing, other = output / "sub" / "a.jpg.restore-compare.jpg", output / "deep.jpg.restore-compare.jpg"
    missing.unlink()
    stamp = other.stat().st_mtime_ns
    again = restore_photos(archive, "--compare", "--format", "jpg", "--sheet", tmp_path / "sheet.html")
    assert again.report["summary"]["done"] == 0 and missing.exists() and other.stat().st_mtime_ns == stamp
    assert (tmp_path / "sheet.html").read_text().count("<img") == 2 * len(names) + 1
    restore_photos(archive, "--compare", "--format", "jpg", "--overwrite")
    assert other.stat().st_mtime_ns > stamp
    # Results that are made anew without pairs leave none that show the old ones.
    restore_photos(archive, "--format", "jpg", "--saturation", "0.5")
    assert files_below(output) == names | {"colour.png"}
    restore_photos(archive, "--compare", "--format", "jpg", "--saturation", "0.5")
    assert files_below(output) == names | pairs | {"colour.png"}

    # The results as the archive of another run: pairs are passed over.
    over = restore_photos(output, "--output", tmp_path / "twice")
    skipped = {file["path"]: file["reason"] for file in over.report["files"] if file["status"] == "skipped"}
    assert set(skipped) == {str(output / pair) for pair in pairs}
    assert all("before/after" in reason for reason in skipped.values())


def test_pair_that_can_not_be_written_is_said(tmp_path: Path, restore_photos: Run, small_disk: Path) -> None:
    long = tmp_path / "in" / ("x" * 245 + ".png")
    save_grey(long)
    result = restore_photos(long.parent, "--compare")
    (file,) = result.report["files"]
    assert (result.code, file["status"]) == (0, "done") and "could not be made" in file["notes"][0]
    # Where no pair finds room any more the run stops, as it does where no result does.
    for i in range(40):
        save_grey(tmp_path / "many" / f"{i:02}.png", 200, 200, seed=i)
    assert restore_photos(tmp_path / "many", "--output", small_disk / "out", "--compare").code == 4
    assert not [name for name in files_below(small_disk) if name.endswith(".part")]


@pytest.mark.parametrize("stop", ["gently", "at once"])
def test_page_is_whole_after_ctrl_c(tmp_path: Path, tiny_model: Path, stop: str, visit: Visitor) -> None:
    for i in range(40):
        save_grey(tmp_path / "in" / f"{i:02}.png", seed=i)
    steps: list[str] = []

    class Stopping(SilentProgress):
        def step(self, name: str, status: str, detail: str = "") -> None:
            steps.append(name)
            if stop == "at once" and len(steps) == 3:
                raise KeyboardInterrupt  # raised itself: where pytest runs in the background, SIGINT is ignored

    sheet = tmp_path / "sheet.html"
    options = PhotoOptions([tmp_path / "in"], sheet=sheet, jobs=1)
    engine = EngineOptions(str(tiny_model), "cpu")
    if stop == "gently":
        restore_by_library(options, engine, Stopping(), lambda: len(steps) >= 3)
    else:
        with pytest.raises(KeyboardInterrupt):
            restore_by_library(options, engine, Stopping())
    assert 3 <= len(steps) < 40
    page = visit(sheet.as_uri()).page
    assert page.locator("article.done").count() == len(steps)
    assert f"{len(steps)} done" in page.locator("header").inner_text()


def test_page_is_written_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    with open_page(path) as page:
        assert page is not None and not path.exists()
        (part,) = tmp_path.iterdir()
        before = part.stat().st_size
        for _ in range(20):
            page.add(Record(Path("a.png"), "done", views=(bytes(8000), bytes(8000))))
        assert part.stat().st_size - before > 400_000
    assert path.read_text().rstrip().endswith("</html>")
    (tmp_path / "photo.png").write_text("not ours")
    for place in (tmp_path, tmp_path / "photo.png"):
        with pytest.raises(OutputError, match=r"--sheet .* \.html"), open_page(place):
            pass


def test_sweep(tmp_path: Path, restore_photos: Run) -> None:
    luma = save_grey(tmp_path / "a.png", 300, 200)
    sheet = tmp_path / "sweep.png"
    assert restore_photos(tmp_path / "a.png", "--sweep", sheet, with_report=False, model="default").code == 0
    with Image.open(sheet) as image:
        width, height = image.size
    columns, rows = 1 + len(SATURATIONS), 8
    assert width > columns * 288 and height > rows * 192
    # Rows of one style and one size, and colour that grows from column to column over the very luma.
    one = draw_sweep(tmp_path / "a.png", EngineOptions(style="vivid", size=128))
    assert one.shape[0] < 300
    cells = np.split(one[44:230, 4:].astype(np.int64), [292 * i for i in range(1, columns)], axis=1)
    chroma = [float(np.ptp(cell[:, :288], axis=2).mean()) for cell in cells]
    assert chroma[0] == 0 and chroma == sorted(chroma) and chroma[-1] > 1.5 * chroma[1] > 0
    # A model without styles has rows for sizes alone.
    assert restore_photos(tmp_path / "a.png", "--sweep", sheet, "--overwrite", with_report=False).code == 0
    with Image.open(sheet) as image:
        assert image.height < height
    for arguments, code in (
        ((tmp_path / "a.png", "--sweep", sheet), 4),
        ((tmp_path / "a.png", "--sweep", tmp_path / "a.png", "--overwrite"), 4),
        ((tmp_path / "a.png", "--sweep", tmp_path / "s.jpg"), 2),
        ((tmp_path / "a.png", "--sweep", tmp_path / "s.png", "--compare"), 2),
        ((tmp_path, "--sweep", tmp_path / "s.png"), 2),
        ((tmp_path / "none.png", "--sweep", tmp_path / "s.png"), 3),
    ):
        result = restore_photos(*arguments, with_report=False)
        assert result.code == code and result.err.count("\n") == 1, result.err
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), luma)
