"""`restore photos` against the floor of reading each photo as grey and writing the same colours alone.

    python benchmarks/photos.py [jpeg png tiff] [--count N]

JPEG and PNG are of 12 megapixels, TIFF of 50 at 16 bit with deflate. The floor uses the same libraries, threads,
quality and compression, and writes the very pixels that restore wrote, which are ready in memory. It runs before and
after, and its better time counts. The whole command is timed, with its start-up, its estimate, hashes and the model;
the bar is half of the floor's photos per second for JPEG and TIFF, and 1.5 GB of memory for JPEG. Then the stages of
one photo are timed, by processor time of one thread.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile
from common import large_photo, machine

from restore.colorizers import load_engine
from restore.merge import chroma_planes, merge_rgb
from restore.options import EngineOptions
from restore.photos.reading import read_photo
from restore.photos.writing import encode
from restore.stills import guess, look

Samples = npt.NDArray[Any]

QUALITY = 95
DISTINCT = 2  # photos; the others are copies, so that the floor's pixels fit into memory
ROWS = 64  # of a strip
PNG_LEVEL = 4


@dataclass(frozen=True)
class Kind:
    """A kind of photo, and how it is read and written alone."""

    suffix: str
    size: tuple[int, int]
    count: int
    bar: float | None
    save: Callable[[Path, Samples], None]
    read: Callable[[bytes], Samples]
    write: Callable[[Samples], bytes]


def deep(luma: Samples) -> Samples:
    """16 bit, with noise in all of them."""
    noise = np.random.default_rng(1).normal(0, 100, luma.shape).astype(np.float32)
    return np.asarray(np.clip(luma * np.float32(257) + noise, 0, 65535), np.uint16)


def write_tiff(samples: Samples) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        samples,
        photometric="rgb" if samples.ndim == 3 else "minisblack",
        compression="adobe_deflate",
        predictor=2,
        rowsperstrip=ROWS,
        metadata=None,
        maxworkers=1,
    )
    return stream.getvalue()


KINDS = {
    "jpeg": Kind(
        ".jpg",
        (4000, 3000),
        200,  # of fewer, start-up, 0.6 s, takes a larger share
        0.5,
        lambda path, luma: path.write_bytes(simplejpeg.encode_jpeg(luma[..., None], 92, "GRAY", "Gray")) and None,
        lambda data: np.asarray(simplejpeg.decode_jpeg(data, "GRAY")),
        lambda rgb: bytes(simplejpeg.encode_jpeg(rgb, QUALITY, "RGB", "420")),
    ),
    "png": Kind(
        ".png",
        (4000, 3000),
        12,
        None,
        lambda path, luma: path.write_bytes(imagecodecs.png_encode(luma, level=PNG_LEVEL)) and None,
        imagecodecs.png_decode,
        lambda rgb: bytes(imagecodecs.png_encode(rgb, level=PNG_LEVEL)),
    ),
    "tiff": Kind(
        ".tif",
        (8192, 6144),
        6,
        0.5,
        lambda path, luma: path.write_bytes(write_tiff(deep(luma))) and None,
        lambda data: tifffile.imread(io.BytesIO(data), maxworkers=1),
        write_tiff,
    ),
}


@dataclass(frozen=True)
class Cost:
    """Seconds, those of all processors together, and peak memory in MB."""

    seconds: float
    processor_seconds: float
    megabytes: float = 0.0


def write_archive(folder: Path, kind: Kind, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"scan_{number:03d}{kind.suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        if number < DISTINCT:
            kind.save(path, cv2.cvtColor(large_photo(number, *kind.size), cv2.COLOR_RGB2GRAY))
        else:
            shutil.copy(paths[number % DISTINCT], path)
    return paths


def ours(archive: Path, output: Path, threads: int) -> Cost:
    """The real command."""
    command = [sys.executable, "-m", "restore", "photos", str(archive), "--output", str(output), "--device", "cpu"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--quality", str(QUALITY), "--jobs", str(threads), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"restore photos ended with status {status}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def floor(kind: Kind, paths: Sequence[Path], colours: Sequence[Samples], output: Path, threads: int) -> Cost:
    """Reading and writing alone; files are synced, as ours are."""
    output.mkdir(exist_ok=True)

    def one(number: int) -> None:
        kind.read(paths[number].read_bytes())
        with (output / paths[number].name).open("wb") as stream:
            stream.write(kind.write(colours[number % DISTINCT]))
            stream.flush()
            os.fsync(stream.fileno())

    start, spent = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(paths))))
    return Cost(time.perf_counter() - start, time.process_time() - spent)


def stages(kind: Kind, path: Path, result: Samples) -> dict[str, float]:
    """Milliseconds of one thread for each stage of a photo."""
    spent: dict[str, float] = {}
    begin = [0.0]

    def done(name: str) -> None:
        spent[name] = 1000 * (time.process_time() - begin[0])
        begin[0] = time.process_time()

    engine = load_engine(EngineOptions(device="cpu"), callers=2)
    for _ in range(2):  # the first time libraries set themselves up
        data = path.read_bytes()
        begin[0] = time.process_time()
        kind.read(data)
        done("floor: read")
        kind.write(result)
        done("floor: write")
        photo = read_photo(path)
        done("read")
        still = look(photo.luma, engine.size)
        (ab,) = guess(engine, [still])
        done("view and guess")
        chroma = still.chroma(ab)
        done("colour at working size")
        if kind.suffix == ".jpg":
            chroma_planes(photo.luma, chroma)
        else:
            merge_rgb(photo.luma, chroma)
        done("colour at full size")
        encode(photo, chroma, photo.container, QUALITY)
        done("encode")
        spent["encode"] -= spent["colour at full size"]  # which it does itself
    return spent


def measure(name: str, kind: Kind, count: int, threads: int, folder: Path) -> None:
    """Print the figures of a kind."""
    paths = write_archive(folder / "in", kind, count)
    cost = ours(folder / "in", folder / "out", threads)
    results = [(folder / "out" / path.name).read_bytes() for path in paths[:DISTINCT]]
    colours = [
        np.asarray(simplejpeg.decode_jpeg(data, "RGB")) if kind.suffix == ".jpg" else kind.read(data)
        for data in results
    ]
    floors = [floor(kind, paths, colours, folder / "floor", threads)]
    again = ours(folder / "in", folder / "again", threads)
    floors.append(floor(kind, paths, colours, folder / "floor", threads))
    base = min(floors, key=lambda one: one.seconds)
    cost = min(cost, again, key=lambda one: one.seconds)
    spent = min(one.processor_seconds for one in floors)
    print(f"{name}: {count} of {kind.size[0] * kind.size[1] / 1e6:.0f} MP, {threads} threads; {machine()}")
    print(f"  floor           {count / base.seconds:6.2f} photos/s")
    bar = f" (bar {kind.bar})" if kind.bar else ""
    print(f"  restore photos  {count / cost.seconds:6.2f} photos/s  ratio {base.seconds / cost.seconds:.2f}{bar}")
    print(
        f"  processor time  {1000 * cost.processor_seconds / count:6.0f} ms a photo, floor {1000 * spent / count:.0f}: "
        f"ratio {spent / cost.processor_seconds:.2f}, whatever else runs here"
    )
    print(f"  peak memory     {cost.megabytes:6.0f} MB{'  (bar 1500)' if name == 'jpeg' else ''}")
    print("  ms of one thread: " + ", ".join(f"{k} {v:.0f}" for k, v in stages(kind, paths[0], colours[0]).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--count", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for name in arguments.kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            kind = KINDS[name]
            measure(name, kind, arguments.count or kind.count, arguments.threads, Path(folder))


if __name__ == "__main__":
    main()
