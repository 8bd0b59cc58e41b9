"""Writing a coloured photo: into a container, with its metadata, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from restore.errors import OutputError
from restore.files import write_atomically
from restore.merge import RgbMerger, SmallChroma, merge_rgb
from restore.photos.containers import AVIF, HEIF, JPEG, JPEG2000, PNG, TIFF, WEBP, Container
from restore.photos.jpeg import encode_jpeg
from restore.photos.jpeg2000 import encode_jpeg2000
from restore.photos.metadata import saver_options
from restore.photos.photo import Photo, to_depth
from restore.photos.plan import map_path, pair_path
from restore.photos.png import encode_png
from restore.photos.profiles import Samples, srgb_profile
from restore.photos.tiff_writing import TiffResult


@dataclass(frozen=True)
class Encoded:
    """A result in memory, and what the user should know of it."""

    data: bytes
    notes: tuple[str, ...]


def fit(photo: Photo, container: Container) -> Photo:
    """The photo as the container can hold it: laid on white where it has no alpha, 8 bit where it has no 16."""
    notes = photo.notes
    if photo.luma.dtype != np.uint8 and container.bits < 16:
        notes += (f"{container.name} holds 8 bits a sample: its 16 were rounded",)
    luma, alpha, color = (
        None if samples is None else to_depth(samples, container.bits)
        for samples in (photo.luma, photo.alpha, photo.color)
    )
    assert luma is not None
    if alpha is not None and not container.has_alpha:
        full = np.iinfo(luma.dtype).max
        share = alpha.astype(np.float32) / full
        luma = np.rint(luma * share + full * (1 - share)).astype(luma.dtype)
        alpha, notes = None, (*notes, f"{container.name} holds no transparency: it was laid on white")
    return replace(photo, luma=luma, alpha=alpha, color=color, notes=notes)


def encode(photo: Photo, chroma: SmallChroma, container: Container, quality: int) -> Encoded:
    """Merge and encode, in memory: so that an encoder's complaint and a full disk are told apart.

    Args:
        photo: as `fit` gives it.

    Raises:
        OutputError: the container can't hold such a picture (a WebP has at most 16,383 pixels a side).
    """
    notes = border_notes(chroma)
    try:
        if container is TIFF:
            stream = io.BytesIO()
            size = photo.luma.nbytes * 4
            result = TiffResult(stream, photo, size, srgb_profile(), quality, workers=1)
            result.add(photo, photo.metadata, RgbMerger(photo.luma, chroma), notes)
            result.close()
            return Encoded(stream.getvalue(), tuple(notes))
        options = saver_options(container, photo.metadata, srgb_profile(), notes)
        if container is JPEG:
            data = encode_jpeg(photo.luma, chroma, quality, options)
        else:
            data = _encode_rgb(_with_alpha(merge_rgb(photo.luma, chroma), photo), photo, container, quality, options)
        return Encoded(data, tuple(notes))
    except MemoryError:
        raise
    except Exception as error:
        raise cant_encode(container, error) from error


def border_notes(chroma: SmallChroma) -> list[str]:
    """What the user should know of a picture that has borders."""
    return [] if chroma.area.is_whole else ["its borders were left grey"]


def cant_encode(container: Container, error: Exception) -> OutputError:
    """What is said where an encoder refuses."""
    return OutputError(f"the result can't be encoded as {container.name}: {error}", "Try another --format")


def _with_alpha(rgb: Samples, photo: Photo) -> Samples:
    return rgb if photo.alpha is None else np.dstack((rgb, photo.alpha))


def _encode_rgb(samples: Samples, photo: Photo, container: Container, quality: int, options: dict[str, Any]) -> bytes:
    if container is PNG:
        return encode_png(samples, options)
    if container is JPEG2000:
        return encode_jpeg2000(samples, photo.metadata.xmp)
    if container is WEBP and photo.lossless:
        options["lossless"] = True
    elif container in (WEBP, AVIF, HEIF):
        options["quality"] = quality
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, container.name, **options)
    return stream.getvalue()


def write_bytes(path: Path, data: bytes, times_of: Path | None = None) -> None:
    """Put an encoded photo at `path`.

    Args:
        times_of: a file whose times it gets.

    Raises:
        OutputError: it can't be written there, or the disk is full.
    """
    write_atomically(path, with_times(lambda stream: stream.write(data), times_of))


def copy_as_is(source: Path, target: Path, keep_times: bool = False) -> None:
    """Copy a file byte for byte.

    Raises:
        OSError: the source can't be read.
        OutputError: the target can't be written, or the disk is full.
    """
    with source.open("rb") as original:
        write_atomically(
            target,
            with_times(lambda stream: shutil.copyfileobj(original, stream, 1 << 20), source if keep_times else None),
        )


def remove_pictures(result: Path, pages: int = 1) -> None:
    """Remove an earlier result's pair and maps, before a new one gets its name: they show the old one."""
    for path in (pair_path(result), map_path(result), *(map_path(result, page + 1) for page in range(pages))):
        with contextlib.suppress(OSError):  # names may be too long for pictures
            path.unlink(missing_ok=True)


def with_times(write: Callable[[BinaryIO], Any], times_of: Path | None) -> Callable[[BinaryIO], None]:
    """The same writing, and then the times of another file, before the result gets its name."""

    def both(stream: BinaryIO) -> None:
        write(stream)
        if times_of is not None:
            stream.flush()
            stat = times_of.stat()
            os.utime(stream.fileno(), ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return both
