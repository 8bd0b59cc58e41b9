"""The page against `restore photos` in a warm process, in a real browser.

    python benchmarks/web.py [--runs 5]

A grey JPEG of 12 MP is dropped into the page; the time runs until the coloured picture is drawn in it, which the page
does before the result's own file is written. Beside it: the same photo by `restore_photos` in a process whose engine is
loaded. The bars: 1.3 times that, and no more than 2 s of the page's own; the page's first load within 1.5 s once the
server is up, which it is within 10 s.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, write_grey_archive
from playwright.sync_api import Page, sync_playwright

from restore.colorizers import KeptEngines
from restore.options import EngineOptions, PhotoOptions
from restore.photos.pipeline import restore_photos

_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
_DRAWN = """() => { const after = document.getElementById('after');
    return after.src.includes('of=after') && after.complete && after.naturalWidth > 0
        && !document.getElementById('compare').classList.contains('loading'); }"""
_SAVED = "() => !document.getElementById('download').hidden"


def warm(photo: Path, output: Path, engines: KeptEngines) -> float:
    """Seconds of a run in this process."""
    begin = time.perf_counter()
    restore_photos(PhotoOptions([photo], output=output), EngineOptions(), load=engines)
    return time.perf_counter() - begin


def dropped(page: Page, photo: Path) -> tuple[float, float]:
    """Seconds from the choice of a file to its coloured picture, and to the file that can be downloaded."""
    begin = time.perf_counter()
    page.set_input_files("#files", photo)
    seconds = []
    for sign in (_DRAWN, _SAVED):
        while not page.evaluate(sign):
            time.sleep(0.002)
        seconds.append(time.perf_counter() - begin)
    page.click("#remove")
    page.wait_for_selector("#strip-part", state="hidden")
    page.evaluate("document.getElementById('after').removeAttribute('src')")
    return seconds[0], seconds[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no chromium is installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_grey_archive(folder, 1)
        photo = folder / "scan_000.jpg"
        begin = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "restore", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        address = server.stdout.readline().split(" at ")[1].split()[0]
        up = time.perf_counter() - begin
        try:
            with sync_playwright() as library:
                page = library.chromium.launch(executable_path=browser, args=_FLAGS).new_page()
                begin = time.perf_counter()
                page.goto(address)
                page.wait_for_selector("#limits:not(:empty)")
                load = time.perf_counter() - begin
                base, ours, engines = [], [], KeptEngines()
                dropped(page, photo)
                warm(photo, folder / "first", engines)
                for number in range(runs):  # in turn, so that what else the machine does meets both
                    base.append(warm(photo, folder / f"{number}", engines))
                    ours.append(dropped(page, photo))
        finally:
            server.terminate()
            server.wait()
    theirs = statistics.median(base)
    own, saved = (statistics.median(times) for times in zip(*ours, strict=True))
    print(f"one photo of 12 MP, median of {runs}; {machine()}")
    print(f"the server is up after        {up:6.2f} s  (bar 10)")
    print(f"the page is loaded after      {load:6.2f} s  (bar 1.5)")
    print(f"restore photos, warm process  {theirs:6.2f} s")
    print(f"the page, drop to picture     {own:6.2f} s  ratio {own / theirs:.2f} (bar 1.3)")
    print(f"the page's own share          {own - theirs:6.2f} s  (bar 2)")
    print(f"the page, drop to download    {saved:6.2f} s")


if __name__ == "__main__":
    main()
