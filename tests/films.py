"""Films of many small frames with cuts, uneven timing and sound, and a digest of all that a player would get of one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from restore.video.reader import plane_array

_SAMPLES = 8000


def make_film(
    path: Path,
    frames: int = 60,
    *,
    width: int = 128,
    height: int = 96,
    scene: int = 70,
    sound: bool = True,
    seed: int = 0,
) -> Path:
    """A grey film: every `scene` frames another set-up, every seventh frame twice as long as the others.

    Smaller ones x264 does not encode alike each time: frames of 64×48 came out in two ways.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "A film"
        # As any: typeshed-like overloads of PyAV's add_stream tell less than the codec's name does.
        picture: Any = out.add_stream("libx264", rate=25, options={"crf": "20", "g": "50", "preset": "veryfast"})
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        picture.codec_context.time_base = Fraction(1, 100)
        tone: Any = out.add_stream("aac", rate=_SAMPLES, layout="mono") if sound else None
        pts = 0
        for number in range(frames):
            frame = _draw(number, scene, width, height, seed)
            frame.pts, frame.time_base = pts, Fraction(1, 100)
            pts += 8 if number % 7 == 6 else 4
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        if tone:
            wave = (np.sin(np.arange(pts * _SAMPLES // 100) / 9) * 8000).astype(np.int16)
            for first in range(0, len(wave), 1024):
                part = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="s16", layout="mono")
                part.sample_rate, part.pts, part.time_base = _SAMPLES, first, Fraction(1, _SAMPLES)
                out.mux(tone.encode(part))
            out.mux(tone.encode(None))
    return path


def _draw(number: int, scene: int, width: int, height: int, seed: int) -> Any:
    """A disc that moves over stripes; each scene has its own stripes and brightness."""
    shot, time = divmod(number, scene)
    y, x = np.mgrid[:height, :width]
    angle = shot * 1.1 + seed
    stripes = np.sin((x * np.cos(angle) + y * np.sin(angle)) / (3 + shot % 3)) * 30
    luma = 60 + (shot * 53) % 110 + stripes + ((x - 5 - time) ** 2 + (y - height // 2) ** 2 < 80) * 40
    frame = av.VideoFrame(width, height, "yuv420p")
    plane_array(frame, 0)[:] = luma.clip(16, 235).astype(np.uint8)
    for chroma in (1, 2):
        plane_array(frame, chroma)[:] = 128
    return frame


@dataclass(frozen=True)
class Digest:
    """Hashes of each decoded frame with its time in seconds, and of the packets of all other streams."""

    frames: tuple[tuple[Fraction, str], ...]
    others: str


def digest(path: Path) -> Digest:
    """All that a player would get of a film."""
    frames = []
    others = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type == "video":
                for frame in packet.decode():
                    planes = b"".join(plane_array(frame, plane).tobytes() for plane in range(3))
                    frames.append((frame.pts * frame.time_base, hashlib.sha256(planes).hexdigest()))
            elif packet.size:
                others.update(repr((packet.stream_index, packet.pts, packet.dts, packet.duration)).encode())
                others.update(bytes(packet))
    return Digest(tuple(frames), others.hexdigest())


def has_colour(path: Path) -> bool:
    """Whether any chroma differs from neutral."""
    with av.open(str(path)) as container:
        return any((plane_array(frame, plane) != 128).any() for frame in container.decode(video=0) for plane in (1, 2))
