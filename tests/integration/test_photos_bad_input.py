"""`restore photos` on what archives really hold: damaged, odd, huge and misnamed files."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from tests.conftest import Result
from tests.pictures import chroma_of, colourful, files_below, grey, luma_of, save_grey

Run = Callable[..., Result]


def test_missing_input_and_nothing_found(tmp_path: Path, restore_photos: Run) -> None:
    assert restore_photos(tmp_path / "nowhere").code == 3
    (tmp_path / "in").mkdir()
    result = restore_photos(tmp_path / "in")
    assert result.code == 3 and "no photos were found" in result.err
    (tmp_path / "in" / "notes.txt").write_text("BMs and other words")
    result = restore_photos(tmp_path / "in")
    assert (result.code, result.status("notes.txt")) == (3, "skipped")
    assert not (tmp_path / "in-restored").exists()


def broken_files(folder: Path) -> dict[str, str]:
    """Files whose names claim a picture and that can't be read, and a word of what is said of each."""
    folder.mkdir()
    (folder / "text.jpg").write_text("hello")
    (folder / "empty.png").touch()
    save_grey(folder / "cut.jpg", 300, 200)
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:2000])
    save_grey(folder / "cut.png", 300, 200)
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:3000])
    Image.fromarray(grey().astype(np.float32)).save(folder / "float.tif")
    tifffile.imwrite(folder / "int32.tif", grey().astype(np.int32))
    imagecodecs.imwrite(folder / "twelve.jpg", grey().astype(np.uint16) * 16, codec="jpeg", bitspersample=12)
    save_grey(folder / "cut.tif", 300, 200, compression="tiff_lzw")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[:3000])
    pages = [Image.fromarray(grey(seed=i)) for i in range(2)]
    pages[0].save(folder / "film.webp", save_all=True, append_images=pages[1:])
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    with (folder / "bomb.png").open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(stream, b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
        PngImagePlugin.putchunk(stream, b"IDAT", b"")
    return {
        "text.jpg": "not a picture",
        "empty.png": "is empty",
        "cut.jpg": "damaged",
        "cut.png": "damaged",
        "cut.tif": "",
        "float.tif": "floating-point",
        "int32.tif": "int32",
        "twelve.jpg": "12 bits",
        "film.webp": "2 pictures",
        "nowhere.jpg": "leads nowhere",
        "loop.jpg": "",
        "bomb.png": "--max-pixels 10000",
    }


def test_broken_files_are_named_and_the_rest_goes_on(tmp_path: Path, restore_photos: Run) -> None:
    expected = broken_files(tmp_path / "in")
    save_grey(tmp_path / "in" / "good.jpg")
    result = restore_photos(tmp_path / "in")
    assert result.code == 8
    assert result.status("good.jpg") == "done"
    assert files_below(tmp_path / "in-restored") == {"good.jpg"}
    for name, word in expected.items():
        assert result.status(name) == "failed", name
        assert word in result.error(name), result.error(name)
        assert name in result.err
    assert result.report["summary"]["failed"] == len(expected)
    assert "Traceback" not in result.err and "Warning" not in result.err


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_tiny_and_thin_pictures(tmp_path: Path, restore_photos: Run, size: tuple[int, int], suffix: str) -> None:
    luma = save_grey(tmp_path / "in" / f"a{suffix}", *size)
    assert restore_photos(tmp_path / "in").code == 0
    output = luma_of(tmp_path / "in-restored" / f"a{suffix}")
    assert output.shape == luma.shape
    if suffix == ".png":
        assert np.array_equal(output, luma)


def test_alpha_palette_and_one_bit(tmp_path: Path, restore_photos: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    alpha = grey(seed=9)
    with_alpha = Image.merge("LA", (Image.fromarray(grey()), Image.fromarray(alpha)))
    with_alpha.save(folder / "la.png")
    palette = Image.fromarray(grey()).convert("P")
    palette.save(folder / "p.png", transparency=palette.getpixel((0, 0)))
    Image.fromarray(grey()).convert("1").save(folder / "one.tif")
    assert restore_photos(folder, "--output", tmp_path / "same").code == 0
    with Image.open(tmp_path / "same" / "la.png") as image:
        assert image.mode == "RGBA" and np.array_equal(np.asarray(image.getchannel("A")), alpha)
    with Image.open(tmp_path / "same" / "p.png") as image, Image.open(folder / "p.png") as source:
        assert np.array_equal(np.asarray(image.getchannel("A")), np.asarray(source.convert("RGBA").getchannel("A")))
        assert (np.asarray(image.getchannel("A")) == 0).any()
    assert chroma_of(tmp_path / "same" / "la.png") > 2
    # Into a container without alpha: on white.
    assert restore_photos(folder, "--output", tmp_path / "jpg", "--format", "jpg").code == 0
    clear = alpha < 30
    assert clear.any() and luma_of(tmp_path / "jpg" / "la.jpg")[clear].mean() > 225


def test_cmyk_jpeg(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(grey()).convert("RGB").convert("CMYK").save(tmp_path / "in" / "a.jpg", quality=95)
    assert restore_photos(tmp_path / "in").status("a.jpg") == "done"
    difference = np.abs(luma_of(tmp_path / "in-restored" / "a.jpg") - grey())
    assert difference.mean() < 3


def test_unreadable_file(tmp_path: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    save_grey(tmp_path / "in" / "b.jpg")
    open_path = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "a.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return open_path(path, *arguments, **options)

    # Permissions don't bind root, who may well run these tests.
    monkeypatch.setattr(Path, "open", refuse)
    result = restore_photos(tmp_path / "in")
    assert (result.code, result.status("a.jpg"), result.status("b.jpg")) == (8, "failed", "done")
    assert "Permission denied" in result.error("a.jpg")


def test_links(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "elsewhere" / "a.jpg")
    save_grey(tmp_path / "in" / "sub" / "b.jpg")
    (tmp_path / "in" / "linked.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (tmp_path / "in" / "sub" / "up").symlink_to(tmp_path / "in")
    result = restore_photos(tmp_path / "in")
    assert result.code == 0
    assert files_below(tmp_path / "in-restored") == {"linked.jpg", "sub/b.jpg"}
    assert result.status("up") == "skipped"


def test_names_that_are_no_text(tmp_path: Path, tiny_model: Path) -> None:
    name = b"in/caf\xe9 \x1b[31m.png".decode("utf-8", "surrogateescape")
    save_grey(tmp_path / name)
    command = [sys.executable, "-m", "restore", "photos", "in", "--model", str(tiny_model), "--verbose"]
    done = subprocess.run([*command, "--report", "r.json"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(files_below(tmp_path / "in-restored")) == 1
    assert b"\x1b" not in done.stdout and b"\\xe9" in done.stdout.replace(b"\\udce9", b"\\xe9")


def test_picture_without_suffix_and_wrong_suffix(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "scan")
    save_grey(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "b.png").rename(tmp_path / "in" / "b.jpg")
    assert restore_photos(tmp_path / "in").code == 0
    for name in ("scan", "b.jpg"):
        with Image.open(tmp_path / "in-restored" / name) as image:
            assert image.format == "PNG"


def test_of_a_phone_photo_with_a_second_picture_the_first_is_coloured(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    second = Image.fromarray(grey())
    colourful().save(tmp_path / "in" / "c.jpg", "MPO", save_all=True, append_images=[second])
    Image.fromarray(grey()).convert("RGB").save(
        tmp_path / "in" / "g.jpg", "MPO", save_all=True, append_images=[second.convert("RGB")]
    )
    result = restore_photos(tmp_path / "in")
    assert (result.status("c.jpg"), result.status("g.jpg")) == ("kept", "done")
    assert (tmp_path / "in-restored" / "c.jpg").read_bytes() == (tmp_path / "in" / "c.jpg").read_bytes()
    (record,) = (file for file in result.report["files"] if file["status"] == "done")
    assert "of its 2 pictures the first was taken" in record["notes"]
    assert chroma_of(tmp_path / "in-restored" / "g.jpg") > 1
    assert np.abs(luma_of(tmp_path / "in-restored" / "g.jpg") - luma_of(tmp_path / "in" / "g.jpg")).mean() < 2
