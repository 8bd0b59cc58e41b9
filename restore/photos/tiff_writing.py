"""Writing TIFF: strip by strip, so that a huge scan is never in memory as RGB; stored as its source is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import imagecodecs
import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tifffile import COMPRESSION, TiffFile, TiffWriter

from restore.merge import RgbMerger
from restore.photos.metadata import Metadata, iptc_from_photoshop
from restore.photos.photo import Photo, TiffForm
from restore.photos.profiles import Samples
from restore.threads import map_in_threads

_KEPT = {
    **{COMPRESSION.NONE: None, COMPRESSION.LZW: "lzw", COMPRESSION.PACKBITS: "packbits"},
    **{COMPRESSION.ADOBE_DEFLATE: "adobe_deflate", COMPRESSION.DEFLATE: "adobe_deflate"},
    **{COMPRESSION.LZMA: "lzma", COMPRESSION.ZSTD: "zstd", COMPRESSION.JPEG: "jpeg"},
}
_PREDICTED = ("lzw", "adobe_deflate", "lzma", "zstd")
_ENCODERS = {
    "lzw": imagecodecs.lzw_encode,
    "adobe_deflate": imagecodecs.deflate_encode,
    "lzma": imagecodecs.lzma_encode,
    "zstd": imagecodecs.zstd_encode,
}
_STRIP_BYTES = 1 << 20
_TEXT_TAGS = {270, 271, 272, 305, 306, 315, 33432}
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_ASCII, _BYTE, _UNDEFINED, _LONG, _IFD8 = 2, 1, 7, 4, 18
_FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# tifffile writes no tags that point into the file: their neighbours by number, which nothing uses, take their places.
_PLACEHOLDER = -1
_CLASSIC_MOST = 4_000_000_000


class TiffResult:
    """A TIFF being written, page by page.

    Args:
        stream: seekable, also for reading.
        first: the first page, of which the file takes its byte order and the width of its offsets.
        raw_bytes: of all pages without compression: what does not fit 32-bit offsets becomes a BigTIFF.
        workers: threads that compress.
    """

    def __init__(self, stream: BinaryIO, first: Photo, raw_bytes: int, icc: bytes, quality: int, workers: int) -> None:
        form = first.tiff or TiffForm()
        self._stream = stream
        self._icc, self._quality, self._workers = icc, quality, workers
        self._big = form.bigtiff or raw_bytes > _CLASSIC_MOST
        self._order = form.byteorder
        self._folders: list[dict[int, dict[int, Any]]] = []
        self._writer = TiffWriter(
            stream, bigtiff=self._big, byteorder=cast(Any, form.byteorder), shaped=False, ome=False
        )

    def add(self, photo: Photo, metadata: Metadata, merger: RgbMerger | None, notes: list[str]) -> None:
        """Write a page.

        Args:
            merger: makes its RGB; None writes the page's own colour.
        """
        height, width = photo.luma.shape
        channels = 3 if photo.alpha is None else 4
        form = photo.tiff or TiffForm(predictor=2)
        compression, predictor = _storage(form, photo, notes)
        arguments: dict[str, Any] = {"compression": compression, "predictor": predictor or None}
        if compression == "jpeg":
            arguments["compressionargs"] = {"level": self._quality}
        row_bytes = width * channels * photo.luma.dtype.itemsize
        rows = form.rows or max(1, _STRIP_BYTES // row_bytes)
        if compression and not form.tile:
            rows = min(rows, max(8, 16 * _STRIP_BYTES // row_bytes))  # one strip of everything can't be streamed
        if compression == "jpeg":
            rows = -(-rows // 16) * 16
        rows = min(rows, height)
        if form.tile:
            arguments["tile"] = form.tile
            data: Iterator[Any] = self._tiles(photo, merger, form.tile)
        else:
            arguments["rowsperstrip"] = rows
            data = self._encoded(photo, merger, rows, compression, predictor)
        folders = _folders(metadata)
        self._writer.write(
            data,
            shape=(height, width, channels),
            dtype=photo.luma.dtype,
            photometric="rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if channels == 4 else None,
            subfiletype=form.subfiletype,
            resolution=metadata.dpi,
            resolutionunit="inch" if metadata.dpi else None,
            iccprofile=self._icc,
            description=None,
            software=False,
            metadata=None,
            extratags=[*_tags(metadata, photo.tiff is not None), *self._placeholders(folders)],
            maxworkers=self._workers,
            **arguments,
        )
        self._folders.append(folders)

    def close(self) -> None:
        """End the file. What tifffile has no way of writing, folders of EXIF and GPS tags, goes to its end."""
        self._writer.close()
        if not any(self._folders):
            return
        self._stream.seek(0)
        with TiffFile(self._stream, mode="r+") as tiff:
            for page, folders in zip(tiff.pages, self._folders, strict=True):
                for code, values in folders.items():
                    self._stream.seek(0, 2)
                    if self._stream.tell() % 2:
                        self._stream.write(b"\0")
                    offset = self._stream.tell()
                    self._stream.write(self._folder(code, values, offset))
                    placeholder = page.aspage().tags[code + _PLACEHOLDER]
                    placeholder.overwrite(offset)
                    self._stream.seek(placeholder.offset)
                    self._stream.write(code.to_bytes(2, "little" if self._order == "<" else "big"))

    def _folder(self, code: int, values: dict[int, Any], offset: int) -> bytes:
        order, big = (b"II", self._big) if self._order == "<" else (b"MM", self._big)
        little = self._order == "<"
        number = (43 if big else 42).to_bytes(2, "little" if little else "big")
        header = order + number + (b"\x08\0\0\0" if little else b"\0\x08\0\0") * big + bytes(8 if big else 4)
        folder = ImageFileDirectory_v2(header, group=code)
        for tag, value in values.items():
            folder[tag] = value
        return folder.tobytes(offset)

    def _placeholders(self, folders: dict[int, dict[int, Any]]) -> list[tuple[int, int, int, int, bool]]:
        return [(code + _PLACEHOLDER, _IFD8 if self._big else _LONG, 1, 0, True) for code in folders]

    def _encoded(
        self, photo: Photo, merger: RgbMerger | None, rows: int, compression: str | None, predictor: int
    ) -> Iterator[Samples | bytes]:
        """What tifffile takes for strips: their bytes, as arrays it would want whole. It does take JPEG so."""
        height = photo.luma.shape[0]
        if compression == "jpeg":
            yield _rows(photo, merger, 0, height)
            return
        stored = photo.luma.dtype.newbyteorder(self._order)  # type: ignore[arg-type]

        def encode(top: int) -> bytes:
            strip = _rows(photo, merger, top, min(top + rows, height))
            if predictor == 2:
                strip = np.asarray(imagecodecs.delta_encode(strip, axis=-2))
            data = strip.astype(stored, copy=False).view(np.uint8).reshape(strip.shape[0], -1)
            if compression is None:
                return data.tobytes()
            if compression == "packbits":
                return bytes(imagecodecs.packbits_encode(data, axis=-1))
            return bytes(_ENCODERS[compression](data.tobytes()))

        yield from map_in_threads(encode, range(0, height, rows), self._workers)

    def _tiles(self, photo: Photo, merger: RgbMerger | None, tile: tuple[int, int]) -> Iterator[Samples | bytes]:
        high, wide = tile
        height = photo.luma.shape[0]
        for top in range(0, height, high):
            band = _rows(photo, merger, top, min(top + high, height))
            for left in range(0, band.shape[1], wide):
                part = band[:, left : left + wide]
                if part.shape[:2] != tile:
                    # Edge pixels repeated, as they compress better than black.
                    grow = ((0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0))
                    part = np.pad(part, grow, mode="edge")
                yield np.ascontiguousarray(part)


def _rows(photo: Photo, merger: RgbMerger | None, top: int, bottom: int) -> Samples:
    """Rows of a page's result, with its alpha."""
    if merger is not None:
        rows = merger.rows(top, bottom)
    else:
        assert photo.color is not None
        rows = photo.color[top:bottom]
    return rows if photo.alpha is None else np.dstack((rows, photo.alpha[top:bottom]))


def _storage(form: TiffForm, photo: Photo, notes: list[str]) -> tuple[str | None, int]:
    """Compression and predictor of a page's result."""
    kept: dict[int, str | None] = {int(code): name for code, name in _KEPT.items()}
    compression = kept.get(form.compression, "adobe_deflate")
    if form.compression not in kept:
        try:
            name = COMPRESSION(form.compression).name
        except ValueError:
            name = str(form.compression)
        notes.append(f"its compression {name} can't hold colour, or is not written here: deflate took its place")
    if compression == "jpeg" and (photo.luma.dtype != np.uint8 or photo.alpha is not None):
        notes.append("JPEG in TIFF holds neither 16 bit nor alpha: deflate took its place")
        compression = "adobe_deflate"
    if compression not in _PREDICTED:
        return compression, 0
    # Where the source had none because its samples were bits or floats, the difference of neighbours is the better.
    return compression, form.predictor if form.compression in kept and form.predictor in (1, 2) else 2


def _tags(metadata: Metadata, from_tiff: bool) -> Iterator[tuple[int, int, int, Any, bool]]:
    for code, kind, count, value in metadata.tags:
        yield code, kind, count, value, True
    if not from_tiff and metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for code, value in exif.items():
            if code in _TEXT_TAGS and isinstance(value, str):
                text = value.encode()
                yield code, _ASCII, len(text) + 1, text + b"\0", True
    if metadata.xmp:
        yield _XMP, _BYTE, len(metadata.xmp), metadata.xmp, True
    if metadata.photoshop:
        iptc = iptc_from_photoshop(metadata.photoshop)
        if iptc:
            yield _IPTC, _UNDEFINED, len(iptc), iptc, True
        yield _PHOTOSHOP, _BYTE, len(metadata.photoshop), metadata.photoshop, True


def _folders(metadata: Metadata) -> dict[int, dict[int, Any]]:
    if not metadata.exif:
        return {}
    exif = Image.Exif()
    exif.load(metadata.exif)
    return {int(folder): values for folder in _FOLDERS if (values := dict(exif.get_ifd(folder)))}
