"""Make the pictures of docs/web.md: the page in a real browser, with photos of scikit-image.

python examples/make_web_pictures.py docs/images
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from skimage import data

WIDTH, HEIGHT = 1100, 860


def write_inputs(folder: Path) -> list[Path]:
    """Grey photos, and a clip that pans over one."""
    paths = []
    for name, photo in (("grandmother 1931", data.astronaut()), ("kitchen", data.coffee()), ("cat", data.chelsea())):
        paths.append(folder / f"{name}.jpg")
        Image.fromarray(photo).convert("L").save(paths[-1], quality=92)
    paths.append(folder / "the old clip.mp4")
    wide = np.asarray(Image.fromarray(data.coffee()).convert("L"))
    with av.open(str(paths[-1]), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 480, 360, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[20:380, number : number + 480]), format="gray")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return paths


def until(page: Page, truth: str) -> None:
    end = time.monotonic() + 120
    while not page.evaluate(truth):
        if time.monotonic() > end:
            sys.exit(f"the page did not come so far: {truth}")
        time.sleep(0.1)
    time.sleep(0.5)  # pictures are drawn


def save(page: Page, path: Path) -> None:
    """What the window shows, as a JPEG."""
    page.screenshot(path=path, type="jpeg", quality=75)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def make(browser: Browser, address: str, inputs: list[Path], target: Path) -> None:
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#limits:not(:empty)")
    page.set_input_files("#files", inputs)
    until(page, "[...document.querySelectorAll('.state')].filter((one) => /ready/.test(one.textContent)).length === 4")
    until(page, "after.complete && after.naturalWidth > 0")
    save(page, target / "web-photo.jpg")
    page.click("#show-choices")
    until(page, "[...document.querySelectorAll('#choices img')].filter((one) => one.naturalWidth > 0).length === 10")
    page.evaluate("document.getElementById('choices-part').scrollIntoView({ block: 'end' })")
    save(page, target / "web-choices.jpg")
    page.click("#choices-close")
    page.click("text=the old clip.mp4")
    until(page, "stills.naturalWidth > 0")
    page.click("#go")
    until(page, "player.readyState >= 2")
    page.evaluate("scrollTo(0, 0); player.currentTime = 1")
    until(page, "player.readyState >= 2")
    save(page, target / "web-clip.jpg")
    small = browser.new_context(
        viewport={"width": 400, "height": HEIGHT}, color_scheme="dark", storage_state=context.storage_state()
    ).new_page()
    small.goto(address)
    until(small, "after.complete && after.naturalWidth > 0")
    small.evaluate("scrollTo(0, 330)")
    save(small, target / "web-small.jpg")


def main() -> None:
    target = Path(sys.argv[1])
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no chromium is installed")
    command = [sys.executable, "-m", "restore", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = server.stdout.readline().split(" at ")[1].split()[0]
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as library:
            opened = library.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
            make(opened, address, write_inputs(Path(folder)), target)
            opened.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
