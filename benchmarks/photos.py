"""`restore photos` on grey JPEGs of 12 MP, against the floor of decoding each as grey and encoding a colour JPEG.

    python benchmarks/photos.py [--count 40]

Both sides use the same number of threads, JPEG quality and chroma subsampling. The whole command is timed, with its
start-up and the loading of the model; the bar is 0.4 of the floor's photos per second and 1.5 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import machine, write_grey_archive
from PIL import Image

QUALITY = 95


def floor(archive: Path, output: Path, threads: int) -> float:
    """Seconds that Pillow alone takes."""
    output.mkdir()

    def one(path: Path) -> None:
        with Image.open(path) as picture:
            picture.convert("L").convert("RGB").save(output / path.name, quality=QUALITY, subsampling=2)

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, sorted(archive.iterdir())))
    return time.perf_counter() - start


def ours(archive: Path, output: Path, threads: int) -> tuple[float, float]:
    """Seconds and peak memory in MB of the real command."""
    command = [
        sys.executable,
        "-m",
        "restore",
        "photos",
        str(archive),
        "--output",
        str(output),
        "--quality",
        str(QUALITY),
    ]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--jobs", str(threads), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"restore photos ended with status {status}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        write_grey_archive(archive, arguments.count)
        base = floor(archive, Path(folder) / "floor", arguments.threads)
        seconds, megabytes = ours(archive, Path(folder) / "ours", arguments.threads)
        again = floor(archive, Path(folder) / "floor-again", arguments.threads)
    base = min(base, again)
    print(f"{arguments.count} photos of 12 MP, {arguments.threads} threads; {machine()}")
    print(f"floor (Pillow, grey in, colour out)  {arguments.count / base:6.2f} photos/s")
    ratio = base / seconds
    print(
        f"restore photos                       {arguments.count / seconds:6.2f} photos/s  ratio {ratio:.2f} (bar 0.40)"
    )
    print(f"peak memory of restore photos        {megabytes:6.0f} MB  (bar 1500)")


if __name__ == "__main__":
    main()
