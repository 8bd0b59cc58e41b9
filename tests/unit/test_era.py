"""The era that a file's own data tells of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from restore.era import era_of_film, era_of_picture
from restore.photos.metadata import photoshop_from_iptc
from restore.photos.reading import read_pages, read_photo
from tests.pictures import grey

Tag = ExifTags.Base
PHONE = {Tag.Make: "Google", Tag.Model: "Pixel 8"}
SHOT = {Tag.ExposureTime: 0.01, Tag.FNumber: 1.8, Tag.ISOSpeedRatings: 100}
LATELY = {Tag.DateTimeOriginal: "2015:06:01 10:00:00"}


def exif_of(first: dict[int, Any], shot: dict[int, Any]) -> bytes:
    """As savers take it: some leave out an `Image.Exif` whose first folder is empty."""
    exif = Image.Exif()
    exif.update(first)
    exif.get_ifd(ExifTags.IFD.Exif).update(shot)
    return exif.tobytes()


def xmp_of(name: str, value: str, *, element: bool = False) -> bytes:
    fact = f"<{name}>{value}</{name}>" if element else ""
    attribute = "" if element else f' {name}="{value}"'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        f'xmlns:exif="http://ns.adobe.com/exif/1.0/"{attribute}>{fact}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def iptc_of(date: str) -> bytes:
    return b"\x1c\x02\x00\x00\x02\x00\x04" + b"\x1c\x02\x37" + len(date).to_bytes(2, "big") + date.encode()


def era_twice(path: Path) -> str:
    """By Pillow alone, as the library takes pictures, and by the reader of `restore photos`: they agree."""
    with Image.open(path) as image:
        era = era_of_picture(image)
    assert read_photo(path).era == era
    return era


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize(
    ("first", "shot", "era"),
    [
        ({}, {}, "period"),
        (PHONE, SHOT, "modern"),
        (PHONE, {}, "period"),  # whose picture it is stands nowhere: programs write a maker, too
        ({}, SHOT, "period"),
        ({}, {Tag.FileSource: b"\x03"}, "modern"),
        ({}, LATELY, "modern"),
        ({}, {Tag.DateTimeOriginal: "1970:01:01 00:00:00"}, "modern"),
        ({}, {Tag.DateTimeOriginal: "0000:00:00 00:00:00"}, "period"),
        ({}, {Tag.DateTimeOriginal: "    :  :     :  :  "}, "period"),
        ({}, {Tag.DateTimeDigitized: "2015:06:01 10:00:00"}, "period"),
        ({Tag.DateTime: "2015:06:01 10:00:00"}, {}, "period"),
        (PHONE, SHOT | {Tag.DateTimeOriginal: "1931:05:01 00:00:00"}, "period"),
        ({}, LATELY | {Tag.FileSource: b"\x01"}, "period"),
        (PHONE, SHOT | LATELY | {Tag.FileSource: b"\x02"}, "period"),
        ({Tag.Make: "EPSON", Tag.Model: "Perfection V850"}, SHOT | LATELY, "period"),
        ({Tag.Make: "Canon", Tag.Model: "CanoScan 9000F"}, LATELY, "period"),
        ({Tag.Make: "Canon", Tag.Model: "Canon LiDE 400"}, LATELY, "period"),
        ({Tag.Make: "Nikon", Tag.Model: "Nikon SUPER COOLSCAN 5000 ED"}, SHOT | LATELY, "period"),
        ({Tag.Make: "Plustek", Tag.Model: "OpticFilm 8200i"}, LATELY, "period"),
        ({Tag.Make: "Hasselblad", Tag.Model: "Flextight X5"}, LATELY, "period"),
        ({Tag.Software: "VueScan 9 x64"}, LATELY, "period"),
        ({Tag.Software: "SilverFast 8.8"}, LATELY, "period"),
        ({Tag.Make: "NIKON CORPORATION", Tag.Model: "NIKON D850"}, SHOT | LATELY, "modern"),
        ({Tag.Make: "Hasselblad", Tag.Model: "Hasselblad X2D"}, SHOT, "modern"),
    ],
)
def test_exif_tells(tmp_path: Path, suffix: str, first: dict[int, Any], shot: dict[int, Any], era: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(grey()).save(path, exif=exif_of(first, shot))
    assert era_twice(path) == era


@pytest.mark.parametrize(
    ("xmp", "era"),
    [
        (xmp_of("photoshop:DateCreated", "1943-05-01"), "period"),
        (xmp_of("photoshop:DateCreated", "1985"), "modern"),
        (xmp_of("photoshop:DateCreated", "1985-05", element=True), "modern"),
        (xmp_of("exif:DateTimeOriginal", "2004-01-01T10:00:00"), "modern"),
        (xmp_of("exif:DateTimeOriginal", "1899", element=True), "period"),
        (xmp_of("exif:DateTimeDigitized", "2004-01-01"), "period"),
        (b"no XMP at all \xff", "period"),
    ],
)
def test_xmp_tells(tmp_path: Path, xmp: bytes, era: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(grey()).save(path, xmp=xmp)
    assert era_twice(path) == era
    # A camera's picture of an old print, whose date an archive has entered.
    Image.fromarray(grey()).save(path, xmp=xmp, exif=exif_of(PHONE, SHOT))
    assert era_twice(path) == ("period" if b"1943" in xmp or b"1899" in xmp else "modern")


@pytest.mark.parametrize(("date", "era"), [("19430501", "period"), ("19850501", "modern"), ("00000000", "period")])
def test_iptc_tells(tmp_path: Path, date: str, era: str) -> None:
    payload = b"Photoshop 3.0\0" + photoshop_from_iptc(iptc_of(date))
    jpeg = tmp_path / "a.jpg"
    Image.fromarray(grey()).save(jpeg, extra=b"\xff\xed" + (len(payload) + 2).to_bytes(2, "big") + payload)
    assert era_twice(jpeg) == era
    tiff = tmp_path / "a.tif"
    iptc = iptc_of(date)
    tifffile.imwrite(tiff, grey(), extratags=[(33723, 7, len(iptc), iptc, True)])
    assert era_twice(tiff) == era


def test_broken_exif_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(grey()).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert era_twice(path) == "period"


def test_the_first_page_tells_for_all(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [Image.fromarray(grey(seed=number)) for number in range(3)]
    exif = exif_of(PHONE, SHOT)
    pages[0].save(path, save_all=True, append_images=pages[1:], exif=exif)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 3
    assert [photo.era for photo in read_pages(path)] == ["modern"] * 3
    with tifffile.TiffWriter(path) as writer:
        for number in range(2):
            writer.write(np.asarray(pages[number]), extratags=[(271, 2, 0, "Google", True)] * number)
    assert [photo.era for photo in read_pages(path)] == ["period"] * 2


@pytest.mark.parametrize(
    ("tags", "era"),
    [
        ({}, "period"),
        ({"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 15"}, "modern"),
        ({"com.android.version": "14"}, "modern"),
        ({"COM.ANDROID.VERSION": "14"}, "modern"),
        ({"com.android.version": ""}, "period"),
        ({"creation_time": "2024-01-01T00:00:00Z", "date": "2024", "encoder": "Lavf"}, "period"),
    ],
)
def test_films_are_modern_where_a_phone_took_them(tags: dict[str, str], era: str) -> None:
    assert era_of_film(tags) == era
