"""Which encoder writes the film, in which pixel format, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import av.codec

from restore.errors import OutputError, UsageError
from restore.merge import YuvForm
from restore.video.film import Film

_DEFAULT_BY_SUFFIX = {".webm": "libvpx-vp9"}
_DEFAULT = "libx264"
# The option that a codec calls its constant quality, and the value that is taken without --crf.
_QUALITY = {
    "libx264": ("crf", 18),
    "libx265": ("crf", 20),
    "libsvtav1": ("crf", 28),
    "libaom-av1": ("crf", 28),
    "libvpx-vp9": ("crf", 24),
    "h264_nvenc": ("cq", 19),
    "hevc_nvenc": ("cq", 21),
    "av1_nvenc": ("cq", 28),
}
_FIXED = {
    "libvpx-vp9": {"b": "0", "row-mt": "1"},
    "ffv1": {"level": "3", "slicecrc": "1"},
    "libx265": {"x265-params": "log-level=error"},
}
LOSSLESS = ("ffv1", "ffvhuff", "huffyuv", "utvideo")
# What --crf 0 becomes: the codec's lossless mode, which its own crf 0 is not at every depth.
_LOSSLESS_MODE = {
    "libx264": {"qp": "0"},
    "libx265": {"x265-params": "log-level=error:lossless=1"},
    "libvpx-vp9": {"lossless": "1"},
}


# Encoders that take only sizes that their chroma divides.
_WHOLE_CHROMA = ("libx264", "libx265", "libsvtav1", "h264_nvenc", "hevc_nvenc", "av1_nvenc")


@dataclass(frozen=True)
class VideoCodec:
    """How frames are encoded.

    Args:
        shift: bits by which luma is moved up, where the codec knows only deeper samples.
        form: of the encoded planes.
    """

    name: str
    pixel_format: str
    options: dict[str, str]
    shift: int
    form: YuvForm

    @property
    def lossless(self) -> bool:
        """Whether decoding gives back the very planes."""
        mode = _LOSSLESS_MODE.get(self.name)
        return self.name in LOSSLESS or (mode is not None and mode.items() <= self.options.items())

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if not self.shift:
            return ()
        depth = self.form.depth
        return (f"{self.name} took {depth} bits a sample: luma moved up by {self.shift} bits, exactly",)


def choose_codec(
    film: Film, target: Path, name: str | None, crf: float | None, preset: str | None, pixel_format: str | None
) -> VideoCodec:
    """The encoder for a film.

    Raises:
        UsageError: no such encoder here, or it does not know an option.
        OutputError: it can't hold the film's luma as it is.
    """
    name = name or _DEFAULT_BY_SUFFIX.get(target.suffix.lower(), _DEFAULT)
    try:
        codec = av.codec.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError) as error:
        raise UsageError(
            f"--codec {name} is not an encoder of this FFmpeg", "Such as libx264, libx265, ffv1"
        ) from error
    if codec.type != "video":
        raise UsageError(f"--codec {name} encodes no video", "Such as libx264, libx265, ffv1")
    known = [form.name for form in codec.video_formats or []]
    if pixel_format is not None and pixel_format not in known:
        raise UsageError(f"--pix-fmt {pixel_format} is unknown to {name}", f"It takes {', '.join(known)}")
    chosen = pixel_format or _nearest(film, name, known)
    form = _form(chosen, film) if chosen else None
    if chosen is None or form is None or form.depth < film.form.depth:
        what = f"{film.form.depth} bits" + (f" in {pixel_format}" if pixel_format else "")
        raise OutputError(
            f"{name} can't hold {film.path}'s luma of {what} and {film.width}×{film.height}", "ffv1 can, in .mkv"
        )
    options = dict(_FIXED.get(name, {}))
    if name in _QUALITY:
        option, default = _QUALITY[name]
        if crf == 0 and name in _LOSSLESS_MODE:
            options |= _LOSSLESS_MODE[name]
        else:
            options[option] = f"{default if crf is None else crf:g}"
    elif crf is not None:
        raise UsageError(f"--crf means nothing to {name}", "Leave it out")
    if preset is not None:
        if not _has_option(name, "preset"):
            raise UsageError(f"--preset means nothing to {name}", "Leave it out")
        options["preset"] = preset
    return VideoCodec(name, chosen, options, form.depth - film.form.depth, form)


def _has_option(codec_name: str, option: str) -> bool:
    known = av.CodecContext.create(codec_name, "w").supported_options
    return any(entry.name == option for entry in known.private)


def _form(name: str, film: Film) -> YuvForm | None:
    """How a pixel format stores planes; None for what is not planar YCbCr."""
    pixel = av.VideoFormat(name)
    if pixel.is_rgb or len(pixel.components) != 3 or not pixel.is_planar:
        return None
    if pixel.components[1].plane == pixel.components[2].plane:  # nv12 and its like
        return None
    across, down = -(-64 // pixel.chroma_width(64)), -(-64 // pixel.chroma_height(64))
    depth = pixel.components[0].bits
    if name.endswith("be") or depth > 16 or (across, down) not in ((1, 1), (2, 1), (2, 2)):
        return None
    return YuvForm(depth, film.form.full_range, across, down, film.form.matrix)


def _nearest(film: Film, codec_name: str, known: list[str]) -> str | None:
    """The film's own format, or else the one that needs the fewest bits more."""
    fitting = []
    for name in known:
        form = _form(name, film)
        if form is None or name.startswith("yuvj") or form.depth < film.form.depth:
            continue
        if codec_name in _WHOLE_CHROMA and (film.width % form.across or film.height % form.down):
            continue
        coarser = form.across * form.down > film.form.across * film.form.down
        fitting.append((coarser, form.depth, -form.across * form.down, name))
    return min(fitting)[3] if fitting else None
