"""`restore photos` on what archives hold: 16 bit, TIFF of every kind, JPEG 2000, AVIF, HEIC, GIF; tags and alpha."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import ExifTags, Image

from tests.conftest import Result
from tests.pictures import chroma_of, colourful, files_below, grey, luma_of, save_grey

Run = Callable[..., Result]
Levels = npt.NDArray[np.uint16]


def grey16(width: int = 90, height: int = 60, seed: int = 0) -> Levels:
    """A scene that uses all of its 16 bits."""
    low = np.random.default_rng(seed + 99).integers(0, 257, (height, width))
    return (grey(width, height, seed).astype(np.uint16) * 256 + low).astype(np.uint16)


def luma16(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return rgb[..., :3] @ np.array((0.299, 0.587, 0.114))


def coloured(rgb: npt.NDArray[Any]) -> bool:
    """Whether the channels differ by more than rounding."""
    return float(np.ptp(rgb[..., :3].astype(np.int64), axis=2).mean()) > 2 * (257 if rgb.dtype == np.uint16 else 1)


FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lzw": {"compression": "lzw", "predictor": 2},
    "deflate": {"compression": "adobe_deflate", "predictor": 2},
    "deflate-unpredicted": {"compression": "adobe_deflate"},
    "zstd": {"compression": "zstd"},
    "tiles": {"compression": "lzw", "tile": (32, 48)},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 7, "compression": "packbits"},
    "plain-strips": {"rowsperstrip": 7},
    "lzw-strips": {"rowsperstrip": 7, "compression": "lzw", "predictor": 2},
    "white-is-zero": {"photometric": "miniswhite"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_keeps_depth_form_and_luma(tmp_path: Path, restore_photos: Run, form: str, depth: int) -> None:
    luma = grey16() if depth == 16 else grey()
    stored = np.iinfo(luma.dtype).max - luma if form == "white-is-zero" else luma
    options = dict(FORMS[form])
    file = {key: options.pop(key) for key in ("bigtiff", "byteorder") if key in options}
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", stored, **file, **({"photometric": "minisblack"} | options))
    result = restore_photos(tmp_path / "in")
    assert result.code == 0, result.err
    assert result.report["files"][0]["bits"] == depth and result.report["files"][0]["notes"] == []
    with (
        tifffile.TiffFile(tmp_path / "in" / "a.tif") as source,
        tifffile.TiffFile(tmp_path / "in-restored" / "a.tif") as done,
    ):
        one, other = source.pages[0].aspage(), done.pages[0].aspage()
        assert (other.compression, other.predictor) == (one.compression, one.predictor)
        assert (other.is_tiled, other.tilewidth) == (one.is_tiled, one.tilewidth)
        assert (done.is_bigtiff, done.byteorder) == (source.is_bigtiff, source.byteorder)
        rgb = other.asarray()
    assert rgb.dtype == luma.dtype and rgb.shape == (60, 90, 3) and coloured(rgb)
    assert np.abs(luma16(rgb) - luma).max() <= 0.5


@pytest.mark.parametrize("suffix", [".png", ".jp2", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_goes_from_each_container_to_each(tmp_path: Path, restore_photos: Run, suffix: str, alpha: bool) -> None:
    luma, mask = grey16(), grey16(seed=5)
    samples = np.dstack((luma, mask)) if alpha else luma
    source = tmp_path / "in" / f"a{suffix}"
    source.parent.mkdir()
    if suffix == ".tif":
        extra = {"extrasamples": ["unassalpha"], "planarconfig": "contig"} if alpha else {}
        tifffile.imwrite(source, samples, photometric="minisblack", **extra)
    elif suffix == ".png":
        source.write_bytes(imagecodecs.png_encode(samples))
    else:
        source.write_bytes(imagecodecs.jpeg2k_encode(samples, level=0, reversible=True))
    for format in ("keep", "png", "tif", "jp2"):
        output = tmp_path / format
        assert restore_photos(tmp_path / "in", "--output", output, "--format", format).code == 0
        (path,) = output.glob("a.*")
        data = path.read_bytes()
        read = {".png": imagecodecs.png_decode, ".jp2": imagecodecs.jpeg2k_decode}
        rgb = read[path.suffix](data) if path.suffix in read else tifffile.imread(path)
        assert rgb.dtype == np.uint16 and coloured(rgb)
        assert np.abs(luma16(rgb) - luma).max() <= 0.5
        if alpha:
            assert np.array_equal(rgb[..., 3], mask)


def test_16_bit_into_8_is_rounded_and_said(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", grey16())
    result = restore_photos(tmp_path / "in", "--format", "webp")
    assert any("8 bits" in note for note in result.report["files"][0]["notes"])
    result = restore_photos(tmp_path / "in", "--format", "jpg", "--output", tmp_path / "jpg")
    assert np.abs(luma_of(tmp_path / "jpg" / "a.jpg") - grey16() / 257).mean() < 2


def test_every_page_is_coloured_and_those_in_colour_stay(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    original = np.asarray(colourful())
    with tifffile.TiffWriter(tmp_path / "in" / "a.tif") as writer:
        writer.write(grey16(), photometric="minisblack", compression="lzw", extratags=[(285, 2, 0, "first", True)])
        writer.write(original, photometric="rgb", compression="adobe_deflate")
        writer.write(grey(70, 50), photometric="minisblack", tile=(16, 16))
    result = restore_photos(tmp_path / "in")
    assert result.code == 0
    assert (result.report["files"][0]["pages"], result.status("a.tif")) == (3, "done")
    with tifffile.TiffFile(tmp_path / "in-restored" / "a.tif") as done:
        pages = [page.aspage() for page in done.pages]
        assert [int(page.compression) for page in pages] == [5, 8, 1]
        assert pages[0].tags[285].value == "first" and pages[2].is_tiled
        assert coloured(pages[0].asarray()) and np.abs(luma16(pages[0].asarray()) - grey16()).max() <= 0.5
        assert np.array_equal(pages[1].asarray(), original)
        assert coloured(pages[2].asarray()) and np.abs(luma16(pages[2].asarray()) - grey(70, 50)).max() <= 0.5
    result = restore_photos(tmp_path / "in", "--format", "jpg", "--output", tmp_path / "jpg")
    assert (result.code, files_below(tmp_path)) == (8, {"in/a.tif", "in-restored/a.tif", "report.json"})
    assert "3 pages" in result.error("a.tif")


def test_pages_all_in_colour_are_copied(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    with tifffile.TiffWriter(tmp_path / "in" / "a.tif") as writer:
        for _ in range(2):
            writer.write(np.asarray(colourful()), photometric="rgb")
    assert restore_photos(tmp_path / "in").status("a.tif") == "kept"
    assert (tmp_path / "in-restored" / "a.tif").read_bytes() == (tmp_path / "in" / "a.tif").read_bytes()


def test_what_cannot_hold_colour_becomes_the_nearest_that_can(tmp_path: Path, restore_photos: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    bits = Image.fromarray(grey()).convert("1")
    bits.save(folder / "fax.tif", compression="group4")
    bits.save(folder / "bits.png")
    palette = Image.fromarray(grey()).convert("P")
    palette.save(folder / "palette.tif")
    frames = [Image.fromarray(grey(seed=i)) for i in range(2)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(grey() // 16 * 17).quantize(16).save(folder / "four.png", bits=4)
    result = restore_photos(folder)
    assert result.code == 0, result.err
    notes = {Path(file["path"]).name: " ".join(file["notes"]) for file in result.report["files"]}
    assert "CCITT" in notes["fax.tif"] and "deflate" in notes["fax.tif"]
    assert "first" in notes["film.gif"]
    output = tmp_path / "in-restored"
    assert files_below(output) == {"fax.tif", "bits.png", "palette.tif", "film.png", "four.png"}
    for name in ("fax.tif", "bits.png", "palette.tif", "four.png"):
        assert np.array_equal(luma_of(output / name), luma_of(folder / name)), name
    assert np.array_equal(luma_of(output / "film.png"), luma_of(folder / "film.gif"))
    assert chroma_of(output / "film.png") > 2


def test_jpeg_in_tiff_cmyk_float_and_associated_alpha(tmp_path: Path, restore_photos: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "jpeg.tif", grey(), photometric="minisblack", compression="jpeg")
    Image.fromarray(np.dstack([grey()] * 3)).save(folder / "ycc.tif", compression="jpeg")
    ink = (65535 - grey16()).astype(np.uint16)
    none = np.zeros_like(ink)
    tifffile.imwrite(folder / "ink.tif", np.dstack((none, none, none, ink)), photometric="separated")
    tifffile.imwrite(folder / "float.tif", grey16().astype(np.float32) / 65535, photometric="minisblack")
    half = np.full_like(grey(), 128)
    tifffile.imwrite(
        folder / "alpha.tif",
        np.dstack((grey() // 2, half)),
        photometric="minisblack",
        extrasamples=["assocalpha"],
        planarconfig="contig",
    )
    result = restore_photos(folder)
    assert result.code == 0, result.err
    output = tmp_path / "in-restored"
    with tifffile.TiffFile(output / "jpeg.tif") as done:
        assert int(done.pages[0].aspage().compression) == 7
    for name in ("jpeg.tif", "ycc.tif"):
        assert np.abs(luma_of(output / name) - luma_of(folder / name)).mean() < 3
    for name in ("ink.tif", "float.tif"):
        assert np.abs(luma16(tifffile.imread(output / name)) - grey16()).max() <= 2, name
    rgba = tifffile.imread(output / "alpha.tif")
    assert np.array_equal(rgba[..., 3], half) and np.abs(luma16(rgba) - grey()).max() <= 3
    assert any("float" in note for file in result.report["files"] for note in file["notes"])


def test_avif_webp_and_jpeg2000_of_8_bit(tmp_path: Path, restore_photos: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, options in (("a.avif", {"quality": 95}), ("l.webp", {"lossless": True}), ("a.jp2", {})):
        Image.fromarray(grey()).convert("RGB").save(folder / name, **options)
    assert restore_photos(folder).code == 0
    output = tmp_path / "in-restored"
    assert np.abs(luma_of(output / "a.avif") - luma_of(folder / "a.avif")).mean() < 3
    for name in ("l.webp", "a.jp2"):
        assert np.array_equal(luma_of(output / name), luma_of(folder / name)), name
    assert all(chroma_of(output / name) > 2 for name in ("a.avif", "l.webp", "a.jp2"))


def test_heic(tmp_path: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    (tmp_path / "in").mkdir()
    pillow_heif.from_pillow(Image.fromarray(grey()).convert("RGB")).save(tmp_path / "in" / "a.heic", quality=95)
    deep = io.BytesIO()
    pillow_heif.encode("RGB;16", (90, 60), np.dstack([grey16()] * 3).tobytes(), deep)
    (tmp_path / "in" / "ten.heic").write_bytes(deep.getvalue())
    first, second = restore_photos(tmp_path / "in").report["files"]
    assert (first["status"], first["notes"]) == ("done", [])
    assert (second["status"], second["notes"]) == ("done", ["its 10 bits a sample were reduced to 8"])
    output = tmp_path / "in-restored" / "a.heic"
    with Image.open(output, formats=("HEIF",)) as image:
        assert np.abs(np.asarray(image.convert("L"), np.int64) - grey()).mean() < 4
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    result = restore_photos(tmp_path / "in", "--output", tmp_path / "out")
    assert result.code == 8 and "restore-color[heic]" in result.error("a.heic")


def test_tags_of_a_tiff(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    iptc = b"\x1c\x02\x05\x00\x07harbour"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r/></x:xmpmeta>'
    tags = [
        *((270, 2, 0, "sc\u00e8ne".encode(), True), (33432, 2, 0, "city archive", True)),
        *((269, 2, 0, "document", True), (33723, 7, len(iptc), iptc, True), (700, 1, len(xmp), xmp, True)),
        (65000, 2, 0, "inventory 12", True),
    ]
    options = {"extratags": tags, "resolution": (400, 600), "resolutionunit": "centimeter", "metadata": None}
    tifffile.imwrite(tmp_path / "in" / "a.tif", grey16(), software="scanner 3", **options)
    for format, name in (("keep", "a.tif"), ("jpg", "a.jpg"), ("png", "a.png")):
        output = tmp_path / format
        assert restore_photos(tmp_path / "in", "--output", output, "--format", format).code == 0
        with (
            Image.open(io.BytesIO((output / name).read_bytes()))
            if name != "a.tif"
            else Image.open(_as_8_bit(output / name)) as image
        ):
            assert [round(float(value)) for value in image.info["dpi"]] == [1016, 1524]
            if name != "a.tif":
                assert image.getexif()[ExifTags.Base.Copyright] == "city archive"
            if name == "a.jpg":
                assert any(iptc in data for kind, data in image.applist if kind == "APP13")  # type: ignore[attr-defined]
    with tifffile.TiffFile(tmp_path / "keep" / "a.tif") as done:
        found = done.pages[0].aspage().tags
        assert found[305].value == "scanner 3" and found[269].value == "document"
        assert found[65000].value == "inventory 12" and "sc" in found[270].value
        assert found[33723].valuebytecount == len(iptc)


def _as_8_bit(path: Path) -> io.BytesIO:
    """A 16-bit TIFF's first page with its resolution, as Pillow can read it."""
    stream = io.BytesIO()
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0].aspage()
        dpi = tuple(page.tags[code].value[0] / page.tags[code].value[1] for code in (282, 283))
        assert int(page.tags[296].value) == 2
        Image.fromarray((page.asarray() >> 8).astype(np.uint8)).save(stream, "PNG", dpi=dpi)
    return stream


def test_comment_and_texts(tmp_path: Path, restore_photos: Run) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "harbour")
    info.add_itxt("Author", "Žižka")
    save_grey(tmp_path / "in" / "a.png", pnginfo=info)
    save_grey(tmp_path / "in" / "b.jpg", comment=b"plate 7")
    assert restore_photos(tmp_path / "in").code == 0
    with Image.open(tmp_path / "in-restored" / "a.png") as image:
        texts = image.text  # type: ignore[attr-defined]
        assert texts["Title"] == "harbour" and texts["Author"] == "Žižka"
    with Image.open(tmp_path / "in-restored" / "b.jpg") as image:
        assert image.info["comment"] == b"plate 7"


def test_keep_times(tmp_path: Path, restore_photos: Run) -> None:
    for name in ("a.jpg", "b.tif"):
        save_grey(tmp_path / "in" / name)
        os.utime(tmp_path / "in" / name, ns=(10**18, 10**18 + 5_000_000_000))
    assert restore_photos(tmp_path / "in", "--keep-times").code == 0
    for name in ("a.jpg", "b.tif"):
        assert (tmp_path / "in-restored" / name).stat().st_mtime_ns == 10**18 + 5_000_000_000


def test_max_pixels(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.png", 1100, 1000)
    tifffile.imwrite(tmp_path / "in" / "b.tif", grey(1100, 1000))
    result = restore_photos(tmp_path / "in", "--max-pixels", 1)
    assert result.code == 8
    assert all("--max-pixels 2" in result.error(name) for name in ("a.png", "b.tif"))
    assert restore_photos(tmp_path / "in", "--max-pixels", 2).code == 0
