"""Reading a photo: upright, in sRGB, its luma exact, with the metadata that goes into the result."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from PIL import JpegImagePlugin, UnidentifiedImageError

from restore.errors import InputError, MissingDependencyError
from restore.options import Era
from restore.photos import pillow_reading, tiff_reading
from restore.photos.containers import NAMES, SNIFF_BYTES, is_tiff
from restore.photos.photo import Photo

DEFAULT_MAX_PIXELS = 500_000_000
# A photo beyond this many bytes of luma, and one of several pages, is worked on alone, page by page.
_LARGE_BYTES = 150_000_000


@dataclass(frozen=True)
class Size:
    """What a file's header says.

    Args:
        pages: pictures in it.
        pixels: of the largest.
        bytes: of its luma.
    """

    pages: int
    pixels: int
    bytes: int

    @property
    def is_large(self) -> bool:
        """Whether it is worked on alone, page by page."""
        return self.pages > 1 or self.bytes > _LARGE_BYTES


def read_photo(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read a photo of one page.

    Raises:
        InputError: empty, no picture, damaged, of a kind that can't be carried without loss, or too large.
    """
    (photo,) = read_pages(path, max_pixels)
    return photo


def read_pages(
    path: Path, max_pixels: int = DEFAULT_MAX_PIXELS, *, keep_color: bool = False
) -> Generator[Photo, None, None]:
    """Read the pages of a photo, one after the other: memory holds one.

    Args:
        keep_color: `Photo.color` holds RGB samples whatever the tone; grey ones have none.

    Raises:
        InputError: as `read_photo`.
    """
    try:
        with closing(_reader(path).read_pages(path, max_pixels, keep_color)) as pages:
            yield from map(_Dated(), pages)  # which holds no page while the next is read
    except GeneratorExit:
        raise
    except BaseException as error:
        raise _explain(path, error) from error


class _Dated:
    """Gives each page the era of the first."""

    def __init__(self) -> None:
        self._era: Era | None = None

    def __call__(self, photo: Photo) -> Photo:
        self._era = self._era or photo.metadata.era()
        return replace(photo, era=self._era)


def measure(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Size:
    """Read a photo's header.

    Raises:
        InputError: as `read_photo`.
    """
    try:
        pages, pixels, samples = _reader(path).measure(path, max_pixels)
    except BaseException as error:
        raise _explain(path, error) from error
    return Size(pages, pixels, pixels * samples)


class _Reader(Protocol):
    def measure(self, path: Path, max_pixels: int) -> tuple[int, int, int]: ...
    def read_pages(self, path: Path, max_pixels: int, keep_color: bool) -> Generator[Photo, None, None]: ...


def _reader(path: Path) -> _Reader:
    with path.open("rb") as stream:
        return tiff_reading if is_tiff(stream.read(SNIFF_BYTES)) else pillow_reading


def _explain(path: Path, error: BaseException) -> BaseException:
    """The error to raise for what a decoder raised."""
    if isinstance(error, InputError | MissingDependencyError) or not isinstance(error, Exception):
        return error
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(path)
    if isinstance(error, MemoryError):
        return InputError(f"{path} is too large for this computer's memory")
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"{path} can't be read: {error.strerror}")
    # Decoders raise anything on broken files: SyntaxError, struct.error, KeyError …
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return InputError(f"{path} is damaged: {kind}{error}")


def _unidentified(path: Path) -> InputError:
    if path.stat().st_size == 0:
        return InputError(f"{path} is empty")
    with path.open("rb") as stream:
        if stream.read(3) == b"\xff\xd8\xff":
            try:
                stream.seek(0)
                JpegImagePlugin.JpegImageFile(stream)
            except Exception as error:  # noqa: BLE001  only its words count
                if "12-bit" in str(error):
                    return InputError(f"{path} is a JPEG of 12 bits, which can't be read", "Convert it to TIFF first")
    return InputError(f"{path} is not a picture that can be read", f"{NAMES} can be")
