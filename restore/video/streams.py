"""What is copied from a film beside its picture, and what a container can't hold: tried before the work begins."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.container
import av.error
import av.packet
import av.stream
import av.video.stream

from restore.errors import InputError, OutputError, UsageError
from restore.video.codec import VideoCodec
from restore.video.encoder import add_picture, encode
from restore.video.film import Film, describe_open, open_film
from restore.video.pyav import fraction, open_input, open_output, readable

# What each container calls itself to FFmpeg.
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_SUGGESTED = (".mkv", ".mov", ".mp4")
_MATROSKA = ("matroska", "webm")
# Tags that are about the file they stood in. Those of a stream are also written by languages, as in DURATION-eng.
_FILE_TAGS = {"MAJOR_BRAND", "MINOR_VERSION", "COMPATIBLE_BRANDS", "ENCODER"}
_STREAM_TAGS = {"VENDOR_ID", "DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"}
_PICTURE_TAGS = {"ENCODER"}
# Tags that MP4's own form has a place for; with others among them, all are written in QuickTime's form.
_MP4_TAGS = re.findall(
    r"\w+",
    "title artist album_artist composer album date comment genre copyright grouping lyrics description synopsis show "
    "episode_id network keywords episode_sort season_number media_type hd_video gapless_playback compilation track "
    "disc tmpo creation_time language",
)
_SAMPLE_PACKETS = 300
_LARGEST_TIMESCALE = 10_000_000
_COVER_SUFFIXES = {"mjpeg": ("jpg", "jpeg"), "png": ("png", "png"), "gif": ("gif", "gif"), "bmp": ("bmp", "bmp")}


def container_format(path: Path) -> str:
    """FFmpeg's name of the container for a file name.

    Raises:
        OutputError: none that this program writes.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(_FORMATS)
        raise OutputError(f"{path}: {path.suffix or 'no suffix'} is no container for films", f"Use {known}") from None


@dataclass(frozen=True)
class Layout:
    """Which of a film's streams are copied, by their index in it.

    Args:
        tracks: in the order of the result, the picture among them.
        attachments: come after the tracks. In Matroska cover pictures are attachments, elsewhere tracks.
        left_out: what no container that this program writes can hold, in words.
    """

    tracks: tuple[int, ...]
    attachments: tuple[int, ...]
    left_out: tuple[str, ...]

    @property
    def all(self) -> tuple[int, ...]:
        return self.tracks + self.attachments


def is_cover(stream: av.stream.Stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def layout(source: av.container.InputContainer, film: Film, form: str) -> Layout:
    """What goes over into a container of this format."""
    tracks, attachments, left_out = [], [], []
    for stream in source.streams:
        if stream.index == film.stream:
            tracks.append(stream.index)
        elif _is_written_anew(stream, source):
            continue
        elif not any(_holds(_FORMATS[suffix], stream) for suffix in _SUGGESTED):
            left_out.append(f"its {_name(stream)} was left out: no container that is written here can hold it")
        elif stream.type == "attachment" or (is_cover(stream) and form in _MATROSKA):
            attachments.append(stream.index)
        else:
            tracks.append(stream.index)
    return Layout(tuple(tracks), tuple(attachments), tuple(left_out))


def _is_written_anew(stream: av.stream.Stream, container: av.container.InputContainer) -> bool:
    """QuickTime keeps chapters and the timecode in tracks, which FFmpeg shows as data beside chapters and tags."""
    chapters = stream.name == "bin_data" and bool(container.chapters())
    return stream.type == "data" and (chapters or "timecode" in stream.metadata)


def made_streams(made: av.container.InputContainer) -> list[av.stream.Stream]:
    """A result's streams, in the order of `Layout.all`."""
    return [stream for stream in made.streams if not _is_written_anew(stream, made)]


def _name(stream: av.stream.Stream) -> str:
    kind = "cover picture" if is_cover(stream) else f"{stream.type} stream"
    codec = stream.codec_context.name if stream.codec_context else stream.name
    return f"{kind} {stream.index}" + (f" ({readable(codec)})" if codec else "")  # an attachment's is its file name


def _holds(form: str, stream: av.stream.Stream) -> bool:
    """Whether a container takes a stream: its muxer is asked, not a table."""
    if stream.type == "attachment":
        return form == "matroska"
    if is_cover(stream) and form in _MATROSKA:
        return form == "matroska" and stream.codec_context.name in _COVER_SUFFIXES
    try:
        with open_output(io.BytesIO(), form) as out:
            _add_copy(out, stream)
            out.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _add_copy(out: av.container.OutputContainer, stream: av.stream.Stream) -> av.stream.Stream:
    added = out.add_stream_from_template(stream, opaque=True)
    added.disposition = stream.disposition
    return added


def muxer_options(source: av.container.InputContainer, film: Film, form: str) -> dict[str, str]:
    """Settings under which a muxer keeps what it would else change."""
    if form in _MATROSKA:
        return {"default_mode": "passthrough"}
    bases = [stream.time_base for stream in source.streams if stream.type in ("video", "audio") and stream.time_base]
    # Where a film begins is kept in units of the whole file.
    scale = math.lcm(*(base.denominator for base in bases))
    options = {"movie_timescale": str(scale if scale <= _LARGEST_TIMESCALE else film.time_base.denominator)}
    if {key.lower() for key in container_metadata(source)}.difference(_MP4_TAGS):
        options["movflags"] = "use_metadata_tags"
    return options


def container_metadata(source: av.container.Container) -> dict[str, str]:
    """Tags of a file that stay true in another."""
    return {key: value for key, value in source.metadata.items() if key.upper() not in _FILE_TAGS}


def stream_metadata(stream: av.stream.Stream, picture: bool, form: str) -> dict[str, str]:
    """Tags of a stream that stay true in another file."""
    dropped = _STREAM_TAGS | (_PICTURE_TAGS if picture else set()) | ({"HANDLER_NAME"} if form in _MATROSKA else set())
    tags = {
        key: value
        for key, value in stream.metadata.items()
        if key.upper().partition("-")[0] not in dropped and not key.startswith("_STATISTICS")
    }
    # FFmpeg reads as `name` what it writes as `title` into MP4.
    return {"title" if key.lower() == "name" else key: value for key, value in tags.items()}


def add_streams(
    out: av.container.OutputContainer,
    source: av.container.InputContainer,
    film: Film,
    plan: Layout,
    add_film: Callable[[], av.video.stream.VideoStream],
) -> dict[int, av.stream.Stream]:
    """All streams, tags and chapters of a film; the added streams that packets go to, by the index of their source.

    Args:
        add_film: adds the stream of the picture.
    """
    form = out.format.name
    added: dict[int, av.stream.Stream] = {}
    for index in plan.tracks:
        stream = source.streams[index]
        picture = index == film.stream
        if picture:
            video = add_film()
            video.set_display_matrix(film.display_matrix)
            added[index] = video
        else:
            added[index] = _add_copy(out, stream)
        added[index].metadata.update(stream_metadata(stream, picture, form))
        added[index].disposition = stream.disposition
    for index in plan.attachments:
        stream = source.streams[index]
        name, mime, data = _attachment(stream, film)
        # Its arguments are UTF-8; tags may be anything, and are what is written.
        attached = out.add_attachment(readable(name), readable(mime), data)
        attached.metadata.update({**stream_metadata(stream, False, form), "filename": name, "mimetype": mime})
    out.metadata.update(container_metadata(source))
    return added


def _attachment(stream: av.stream.Stream, film: Film) -> tuple[str, str, bytes]:
    """File name, MIME type and content."""
    name, mime = stream.metadata.get("filename"), stream.metadata.get("mimetype")
    if isinstance(stream, av.stream.AttachmentStream):
        return name or f"attachment-{stream.index}", mime or "application/octet-stream", stream.data
    suffix, kind = _COVER_SUFFIXES[stream.codec_context.name]
    return name or f"cover.{suffix}", mime or f"image/{kind}", cover_bytes(film.path, stream.index)


def cover_bytes(path: Path, index: int) -> bytes:
    """A cover picture's file. Raises InputError where there is none."""
    with open_film(path) as container:
        for packet in container.demux(container.streams[index]):
            if packet.size:
                return bytes(packet)
    raise InputError(f"{path} is damaged: its cover picture can't be read")


def shifted_chapters(source: av.container.InputContainer, film: Film, shift: int) -> list[av.container.core.Chapter]:
    """A film's chapters, moved by `shift` of the film's ticks."""
    kept = []
    for chapter in source.chapters():
        base = fraction(chapter["time_base"]) or Fraction(1)
        if film.begin is not None:
            chapter["start"] = max(chapter["start"], round(film.begin * film.time_base / base))
        if film.stop is not None:
            chapter["end"] = min(chapter["end"], round(film.stop * film.time_base / base))
        ticks = round(shift * film.time_base / base)
        if chapter["start"] < chapter["end"]:
            chapter["start"] += ticks
            chapter["end"] += ticks
            kept.append(chapter)
    return kept


def check_container(film: Film, codec: VideoCodec, target: Path) -> tuple[str, ...]:
    """Find out what the target's container can't hold, before work begins.

    Returns:
        Notes on what is left out, or not kept.

    Raises:
        OutputError: it can't hold a stream, the codec, or how the picture is to be shown.
    """
    form = container_format(target)
    lost, notes = _trial(film, codec, form)
    if not lost:
        return notes
    others = [suffix for suffix in _SUGGESTED if _FORMATS[suffix] != form]
    better = next((suffix for suffix in others if not _trial(film, codec, _FORMATS[suffix])[0]), None)
    hint = f"Use {better} for --output" if better else "Take it out of the film first, or choose another --codec"
    raise OutputError(f"{target.suffix} with {codec.name} can't hold all of {film.path}: {', '.join(lost)}", hint)


def _trial(film: Film, codec: VideoCodec, form: str) -> tuple[list[str], tuple[str, ...]]:
    """What a container can't hold, and notes: found by writing a film of one frame in memory and reading it."""
    buffer = io.BytesIO()
    with open_film(film.path) as source:
        plan = layout(source, film, form)
        beside = [source.streams[index] for index in plan.all if index != film.stream]
        lost = [_name(stream) for stream in beside if not _holds(form, stream)]
        if lost:
            return lost, ()
        try:
            with open_output(buffer, form, muxer_options(source, film, form)) as out:
                added = add_streams(out, source, film, plan, lambda: add_picture(out, film, codec))
                out.set_chapters(source.chapters())
                seen = _write_sample(out, source, film, codec, added)
        except (ValueError, av.error.FFmpegError) as error:
            return [getattr(error, "strerror", None) or str(error)], ()
        buffer.seek(0)
        with open_input(buffer) as made:
            # Streams that the sample has no packet of may be left out by some muxers.
            kept = Layout(tuple(i for i in plan.tracks if i in seen), plan.attachments, plan.left_out)
            whole = len(made_streams(made)) == len(kept.all)
            ours = describe_open(made, film.path)
            notes = tuple(_differences(source, made, kept, film)) if whole else ()
            if film.interlaced and not ours.interlaced:
                notes += ("the result does not tell players that its frames are interlaced",)
            return lost_of_picture(film, ours), plan.left_out + notes


def _write_sample(
    out: av.container.OutputContainer,
    source: av.container.InputContainer,
    film: Film,
    codec: VideoCodec,
    added: dict[int, av.stream.Stream],
) -> set[int]:
    """One grey frame, and the first packet of each other stream that comes soon; the streams that got one."""
    video = added[film.stream]
    assert isinstance(video, av.video.stream.VideoStream)
    packets = {packet.stream_index: packet for packet in _first_packets(source, film)}
    seen = {film.stream} | packets.keys() & added.keys()
    frame = av.VideoFrame(film.width, film.height, codec.pixel_format)
    frame.pts, frame.time_base = 0, 1 / film.rate
    try:
        encoded = encode(video, frame) + encode(video, None)
    except (ValueError, av.error.FFmpegError) as error:
        raise UsageError(
            f"{codec.name} can't encode {film.path} with these settings", "Check --preset, --crf and --pix-fmt"
        ) from error
    out.mux(encoded)
    for index in sorted(seen - {film.stream}):
        packet = packets[index]
        packet.pts = packet.dts = 0
        packet.stream = added[index]
        out.mux_one(packet)
    # Matroska has a place for streams that have no packets.
    return set(added) if out.format.name in _MATROSKA else seen


def _first_packets(source: av.container.InputContainer, film: Film) -> Iterator[av.packet.Packet]:
    seen = {film.stream}
    try:
        for packet in islice(source.demux(), _SAMPLE_PACKETS):
            if packet.size and packet.stream_index not in seen:
                seen.add(packet.stream_index)
                yield packet
    except av.error.FFmpegError:
        return  # The run itself will say what is wrong.


def lost_of_picture(film: Film, ours: Film) -> list[str]:
    """How the picture is to be shown, where a result does not tell it."""
    lost = []
    if abs(ours.sample_aspect_ratio / film.sample_aspect_ratio - 1) > 1e-3:
        lost.append(f"its pixel shape of {film.sample_aspect_ratio}")
    if _turn(ours) != _turn(film):
        lost.append("its rotation")
    if ours.form.full_range != film.form.full_range:
        lost.append(f"its {'full' if film.form.full_range else 'limited'} range")
    return lost


def _turn(film: Film) -> tuple[int, ...]:
    matrix = film.display_matrix or (65536, 0, 0, 0, 65536, 0, 0, 0, 0)
    return tuple(round(matrix[place] / 1024) for place in (0, 1, 3, 4))


def _differences(
    source: av.container.InputContainer, made: av.container.InputContainer, plan: Layout, film: Film
) -> Iterator[str]:
    """Small things that a container has no place for, in words."""
    form = "matroska" if "matroska" in made.format.name else "mp4"
    ours = {key.lower(): value for key, value in made.metadata.items()}
    missing = [key for key, value in container_metadata(source).items() if ours.get(key.lower()) != value]
    for index, stream in zip(plan.all, made_streams(made), strict=True):
        theirs = source.streams[index]
        kept = {key.lower(): value for key, value in stream_metadata(stream, False, form).items()}
        for key, value in stream_metadata(theirs, index == film.stream, form).items():
            if kept.get(key.lower()) != value and (key, value) != ("language", "und"):
                missing.append(f"{key} of stream {index}")
        if (theirs.disposition & ~stream.disposition) and index in plan.tracks:
            gone = av.stream.Disposition(theirs.disposition & ~stream.disposition)
            missing.append(f"{gone.name} of stream {index}")
    if missing:
        yield f"the container does not keep the tags {', '.join(map(readable, missing))}"
    if len(source.chapters()) != len(made.chapters()):
        yield f"the container keeps {len(made.chapters())} of {len(source.chapters())} chapters"
