"""`restore video` on a grey 1080p film, against the floor of transcoding it: libx264, preset medium, crf 18.

    python benchmarks/video.py [--seconds 20] [--long]

The floor is `ffmpeg`, or where that is missing PyAV's plain loop of decoding and encoding; it runs before and after,
and its better time counts. The whole command is timed, with its start-up, its estimate and its proof. The bar is 0.65
of the floor's frames per second on a processor with AMX and 0.5 without, and 2.5 GB of memory; with --long, a film
four times as long may take 10 % more. Options of `restore video` can be added, such as --smooth 0.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import cv2
import numpy as np
import numpy.typing as npt
from common import PHOTOS, large_photo, machine

from restore.video.reader import plane_array

WIDTH, HEIGHT = 1920, 1080
RATE = 24
SCENE = 70  # frames between cuts
PRESET, CRF = "medium", "18"
GRAIN = 3.0

PLAIN_LOOP = """
import sys, av
source, target, preset, crf = sys.argv[1:]
with av.open(source) as reader, av.open(target, "w") as writer:
    picture = reader.streams.video[0]
    picture.thread_type = "AUTO"
    stream = writer.add_stream("libx264", rate=picture.average_rate, options={"preset": preset, "crf": crf})
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    stream.codec_context.thread_type = "AUTO"
    for frame in reader.decode(picture):
        frame.pict_type = 0
        writer.mux(stream.encode(frame))
    writer.mux(stream.encode(None))
"""


def write_film(path: Path, frames: int) -> None:
    """Pans and zooms over enlarged photos with film grain, a cut every three seconds; grey, as 4:2:0."""
    rng = np.random.default_rng(0)
    grain = [_grain(rng) for _ in range(4)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "12"})
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        photo = _grey(0)
        for number in range(frames):
            scene, place = divmod(number, SCENE)
            if place == 0:
                photo = _grey(scene)
            # From 1.0 to 1.2 and over a third of the picture, in another direction each scene.
            zoom, along = 1 + 0.2 * place / SCENE, place / SCENE * WIDTH / 12
            left, top = (along if scene % 2 else WIDTH / 12 - along), along / 2
            view = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
            still = cv2.warpAffine(photo, view, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
            noise = np.roll(grain[number % len(grain)], tuple(rng.integers(0, 500, 2)), (0, 1))
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            luma = np.clip(16 + 219 / 255 * (still + noise), 16, 235).astype(np.uint8)
            for plane, values in enumerate((luma, 128, 128)):
                plane_array(frame, plane)[:] = values
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _grain(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Clumps about two pixels wide."""
    grain = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8)
    return np.asarray(grain * np.float32(GRAIN / grain.std()), np.float32)


def _grey(number: int) -> npt.NDArray[np.float32]:
    photo = large_photo(number % len(PHOTOS), WIDTH * 5 // 4, HEIGHT * 5 // 4)
    smooth = cv2.GaussianBlur(photo, (0, 0), 1.5)  # the enlarged photo has grain of its own
    return cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY).astype(np.float32)


@dataclass(frozen=True)
class Cost:
    """Of a command: seconds, those of all processors together, and peak memory in MB."""

    seconds: float
    processor_seconds: float
    megabytes: float


def timed(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{command[0]} ended with status {status}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def floor(film: Path, output: Path) -> Cost:
    """A plain transcode."""
    if shutil.which("ffmpeg"):
        settings = ["-c:v", "libx264", "-preset", PRESET, "-crf", CRF]
        return timed(["ffmpeg", "-loglevel", "error", "-y", "-i", film, *settings, output])
    return timed([sys.executable, "-c", PLAIN_LOOP, film, output, PRESET, CRF])


def ours(film: Path, output: Path, more: Sequence[str]) -> Cost:
    """The real command."""
    settings = ["--codec", "libx264", "--preset", PRESET, "--crf", CRF, *more]
    return timed([sys.executable, "-m", "restore", "video", film, "--output", output, *settings])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="length of the film")
    parser.add_argument("--long", action="store_true", help="memory of a film four times as long, too")
    arguments, more = parser.parse_known_args()
    frames = arguments.seconds * RATE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = folder / "film.mkv"
        write_film(film, frames)
        costs = [floor(film, folder / "floor.mkv")]
        cost = ours(film, folder / "ours.mkv", more)
        costs.append(floor(film, folder / "floor.mkv"))
        base = min(costs, key=lambda one: one.seconds)
        size = (folder / "floor.mkv").stat().st_size * 8 / 1e6 / arguments.seconds
        print(f"{frames} frames of {WIDTH}×{HEIGHT}, {size:.0f} Mbit/s encoded; {machine()}")
        print(f"floor ({'ffmpeg' if shutil.which('ffmpeg') else 'PyAV'})        {frames / base.seconds:6.2f} frames/s")
        rate, bar = frames / cost.seconds, 0.65 if "amx" in machine() else 0.5
        print(f"restore video       {rate:6.2f} frames/s  ratio {base.seconds / cost.seconds:.2f} (bar {bar})")
        spent = min(one.processor_seconds for one in costs)
        print(
            f"processor time      {1e3 * cost.processor_seconds / frames:6.0f} ms/frame, floor "
            f"{1e3 * spent / frames:.0f}: ratio {spent / cost.processor_seconds:.2f}, whatever else runs here"
        )
        print(f"peak memory         {cost.megabytes:6.0f} MB  (bar 2500)")
        if arguments.long:
            write_film(film, 4 * frames)
            longer = ours(film, folder / "long.mkv", more).megabytes
            print(f"four times as long  {longer:6.0f} MB  {100 * longer / cost.megabytes - 100:+.0f} % (bar +10 %)")


if __name__ == "__main__":
    main()
