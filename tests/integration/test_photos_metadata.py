"""`restore photos`: orientation, colour profiles and metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from restore.photos.profiles import srgb_profile
from tests.conftest import Result
from tests.pictures import colourful, grey, luma_of, save_grey
from tests.profiles import ADOBE_GAMMA, ADOBE_RGB, SRGB, adobe_rgb_profile, cmyk_profile, grey_profile

Run = Callable[..., Result]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" title="harbour"/></x:xmpmeta>'


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = orientation
    data[ExifTags.Base.ImageDescription] = "harbour"
    data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1931:05:06 07:08:09"
    return data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_orientation_is_applied_once(tmp_path: Path, restore_photos: Run, orientation: int, suffix: str) -> None:
    source = tmp_path / "in" / f"a{suffix}"
    quality = {"quality": 95} if suffix in (".jpg", ".webp") else {}
    luma = save_grey(source, exif=exif(orientation).tobytes(), **quality)
    methods = {
        **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM},
        **{5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE},
        8: Image.Transpose.ROTATE_90,
    }
    upright = Image.fromarray(luma)
    if orientation > 1:
        upright = upright.transpose(methods[orientation])
    wanted = np.asarray(upright, np.int64)
    assert wanted.shape == ((60, 90) if orientation < 5 else (90, 60))
    assert restore_photos(tmp_path / "in").code == 0
    with Image.open(tmp_path / "in-restored" / f"a{suffix}") as result:
        shown = ImageOps.exif_transpose(result)
        assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1
        difference = np.abs(np.asarray(shown.convert("L"), np.int64) - wanted)
        assert result.getexif()[ExifTags.Base.ImageDescription] == "harbour"
        taken = result.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        assert taken == "1931:05:06 07:08:09"
    assert difference.max() == 0 if suffix in (".png", ".tif") else difference.mean() < 3


@pytest.mark.parametrize("source_suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("format", ["jpg", "png", "tif", "webp"])
def test_metadata_goes_from_each_container_to_each(
    tmp_path: Path, restore_photos: Run, source_suffix: str, format: str
) -> None:
    from PIL.PngImagePlugin import PngInfo

    data = exif(6)
    if source_suffix == ".tif":
        data[700] = XMP
    options: dict[str, object] = {"exif": data.tobytes()}
    if source_suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = info
    elif source_suffix != ".tif":
        options["xmp"] = XMP
    if source_suffix != ".webp":
        options["dpi"] = (300, 300)
    save_grey(tmp_path / "in" / f"a{source_suffix}", **options)
    assert restore_photos(tmp_path / "in", "--format", format).code == 0
    with Image.open(tmp_path / "in-restored" / f"a.{format}") as image:
        image.load()
        assert image.size == (60, 90)
        assert image.getexif()[ExifTags.Base.ImageDescription] == "harbour"
        xmp = image.info["xmp"]
        assert b"harbour" in xmp and b"Orientation" not in xmp
        if source_suffix != ".webp" and format != "webp":
            assert [round(float(value)) for value in image.info["dpi"]] == [300, 300]


def encoded(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """sRGB's curve, 0 to 1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_tagged_grey_is_seen_as_it_was_meant(tmp_path: Path, restore_photos: Run, gamma: float) -> None:
    luma = save_grey(tmp_path / "in" / "a.png", icc_profile=grey_profile(gamma))
    assert restore_photos(tmp_path / "in").report["files"][0]["notes"] == []
    meant = 255 * encoded((luma / 255.0) ** gamma)
    result = luma_of(tmp_path / "in-restored" / "a.png")
    assert np.abs(result - meant).max() <= 1.5
    if gamma != 2.2:
        assert np.abs(result - luma).max() > 10
    with Image.open(tmp_path / "in-restored" / "a.png") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])).profile
        assert "sRGB" in str(profile.profile_description)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_toned_scan_in_adobe_rgb(tmp_path: Path, restore_photos: Run, depth: int) -> None:
    full = (1 << depth) - 1
    sepia = np.rint(grey()[..., None] / 255 * np.array((1.0, 0.8, 0.55)) * full).astype(f"uint{depth}")
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", sepia, photometric="rgb", iccprofile=adobe_rgb_profile())
    (record,) = restore_photos(tmp_path / "in").report["files"]
    assert (record["status"], record["tone"], record["notes"]) == ("done", "toned", [])
    linear = (sepia / full) ** ADOBE_GAMMA @ (np.linalg.inv(SRGB) @ ADOBE_RGB).T
    weights = np.array((0.299, 0.587, 0.114))
    meant = np.clip(encoded(linear), 0, 1) @ weights
    with tifffile.TiffFile(tmp_path / "in-restored" / "a.tif") as done:
        page = done.pages[0].aspage()
        assert b"sRGB" in page.iccprofile or b"s\0R\0G\0B" in page.iccprofile
        result = page.asarray() @ weights / full
    assert np.abs(result - meant).max() < 1.5 / 255
    assert np.abs(sepia @ weights / full - meant).max() > 6 / 255  # as it would be without the profile


def test_a_cmyk_jpeg_with_a_profile(tmp_path: Path, restore_photos: Run) -> None:
    ink = np.zeros((60, 90, 4), np.uint8)
    ink[..., 3] = np.linspace(0, 255, 90).round()
    (tmp_path / "in").mkdir()
    image = Image.frombytes("CMYK", (90, 60), ink.tobytes())
    image.save(tmp_path / "in" / "a.jpg", quality=100, icc_profile=cmyk_profile())
    (record,) = restore_photos(tmp_path / "in", "--format", "png").report["files"]
    assert (record["status"], record["tone"], record["notes"]) == ("done", "neutral", [])
    lightness = 100 * (1 - ink[..., 3] / 255)
    luminance = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    meant = 255 * encoded(luminance)
    result = luma_of(tmp_path / "in-restored" / "a.png")
    assert np.abs(result - meant).max() < 4 and np.abs(result - meant).mean() < 1.5
    assert np.abs(255 - ink[..., 3] - meant).max() > 6  # as it would be without the profile


def test_srgb_profile_changes_nothing(tmp_path: Path, restore_photos: Run) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    luma = save_grey(tmp_path / "in" / "grey.png", icc_profile=srgb)
    Image.fromarray(luma).convert("RGB").save(tmp_path / "in" / "rgb.png", icc_profile=srgb)
    restore_photos(tmp_path / "in")
    for name in ("grey.png", "rgb.png"):
        assert np.array_equal(luma_of(tmp_path / "in-restored" / name), luma)


def test_broken_or_foreign_profile_is_noted_not_fatal(tmp_path: Path, restore_photos: Run) -> None:
    luma = save_grey(tmp_path / "in" / "broken.png", icc_profile=b"nonsense")
    Image.fromarray(luma).convert("RGB").save(tmp_path / "in" / "foreign.png", icc_profile=grey_profile(1.0))
    result = restore_photos(tmp_path / "in")
    assert result.code == 0
    for file in result.report["files"]:
        assert file["status"] == "done" and "profile" in file["notes"][0]
        assert np.array_equal(luma_of(Path(file["output"])), luma)


def test_broken_exif_is_not_fatal(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xffrubbish")
    save_grey(tmp_path / "in" / "b.jpg", exif=b"Exif\0\0" + b"\x07" * 40)
    result = restore_photos(tmp_path / "in")
    assert result.code == 0 and "Warning" not in result.err


def test_colour_photo_is_copied_byte_for_byte_whatever_it_carries(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    stream = io.BytesIO()
    colourful().save(stream, "JPEG", exif=exif(6), comment=b"do not lose me")
    (tmp_path / "in" / "c.jpg").write_bytes(stream.getvalue())
    assert restore_photos(tmp_path / "in", "--format", "png").status("c.jpg") == "kept"
    assert (tmp_path / "in-restored" / "c.jpg").read_bytes() == stream.getvalue()


def test_the_profile_does_not_tell_the_time() -> None:
    """Else the same photo would give another file in each run."""
    ours = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())).profile
    assert struct.unpack(">6H", srgb_profile()[24:36]) == (2026, 7, 1, 0, 0, 0)
    assert str(ours.profile_description).startswith("sRGB")
