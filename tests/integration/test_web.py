"""The page in a real browser: chromium by Playwright."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from restore.web.passwords import add_user
from tests.browser import Visitor
from tests.clips import Clip, luma_planes, make_clip, packets
from tests.films import has_colour
from tests.pages import Server
from tests.pictures import colourful, grey, save_grey

if TYPE_CHECKING:
    from playwright.sync_api import Page

# What an assistive technology calls a control; "" is what a user of one can't tell from others.
_NAMELESS = """() => [...document.querySelectorAll('button, a, input, select, video, img')].filter((one) => {
    const labels = [...(one.labels ?? [])].map((label) => label.textContent).join('');
    const by = one.getAttribute('aria-labelledby');
    return !(one.textContent.trim() || labels.trim() || one.getAttribute('aria-label') || one.alt || by
        || one.getAttribute('aria-hidden') === 'true');
}).map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def until(page: Page, truth: str, seconds: float = 40) -> None:
    """Wait for an expression to be true. Playwright's own waiting evaluates text, which the page forbids."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if page.evaluate(truth):
            return
        time.sleep(0.05)
    raise AssertionError(f"{truth} is not so; the page says: {page.inner_text('body')}")


def ready(page: Page, count: int) -> None:
    """Wait until so many items are there, and all are through."""
    until(
        page,
        f"document.querySelectorAll('#strip li').length === {count} && [...document.querySelectorAll('.state')]"
        ".every((state) => /^(ready|stills are ready|in colour already|could not|cancelled)/.test(state.textContent))",
    )


def shown_after(page: Page) -> None:
    until(page, "(({complete, naturalWidth, hidden}) => complete && naturalWidth > 0 && !hidden)(after)")


def download(page: Page, selector: str) -> tuple[str, bytes]:
    with page.expect_download() as begun:
        page.click(selector)
    return begun.value.suggested_filename, Path(begun.value.path()).read_bytes()


def as_on_the_command_line(page: Page, folder: Path, result: str) -> bytes:
    """What the command that the page shows makes."""
    command = shlex.split(page.inner_text("#command"))
    assert command[0] == "restore"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    subprocess.run([sys.executable, "-m", *command, "--quiet"], cwd=folder, env=environment, check=True)
    return (folder / result).read_bytes()


def test_a_photo_from_upload_to_download(server: Server, visit: Visitor, tmp_path: Path) -> None:
    """16 bits in, the command line's very bytes out; slider, settings, reload, all as ZIP; nobody else is asked."""
    scan = tmp_path / "Oma's scan.tif"
    tifffile.imwrite(scan, grey(300, 200).astype(np.uint16) * 257 + 3)
    save_grey(tmp_path / "b.jpg", 320, 200, seed=2)
    opened = visit(server.address, accept_downloads=True)
    page = opened.page
    page.set_input_files("#files", [scan, tmp_path / "b.jpg"])
    ready(page, 2)
    shown_after(page)
    assert page.inner_text("#name") == "Oma's scan.tif"

    page.focus("#cut")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("compare.style.getPropertyValue('--cut')") == "51%"
    assert page.get_attribute("#cut", "aria-valuetext") == "51 % before, 49 % after"
    box = page.locator("#cut").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
    assert int(page.input_value("#cut")) < 20

    first = download(page, "#download")
    page.focus("#saturation")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.check("#styles >> text=Calm")
    until(page, "command.textContent.includes('--style natural --saturation 0.9')")
    page.reload()  # in the middle of the work, or right after it
    ready(page, 2)
    assert page.input_value("#saturation") == "0.9"
    assert page.is_checked("#styles >> text=Calm")
    name, data = download(page, "#download")
    assert first[0] == name == "Oma's scan-restored.tif"
    assert data == as_on_the_command_line(page, tmp_path, name) != first[1]
    assert tifffile.imread(io.BytesIO(data)).dtype == np.uint16

    page.click("text=b.jpg")
    assert page.inner_text("#command") == "restore photos b.jpg"
    other = as_on_the_command_line(page, tmp_path, "b-restored.jpg")
    archive = zipfile.ZipFile(io.BytesIO(download(page, "#all")[1]))
    assert {entry: archive.read(entry) for entry in archive.namelist()} == {name: data, "b-restored.jpg": other}

    assert opened.hosts() == {"127.0.0.1"}
    assert page.evaluate(_NAMELESS) == []


def test_choosing_by_looking(server: Server, visit: Visitor, tmp_path: Path) -> None:
    """Some to choose from, calm, where the model is unsure, and of which time."""
    save_grey(tmp_path / "a.jpg", 320, 200, seed=1)
    page = visit(server.address, accept_downloads=True).page
    page.set_input_files("#files", tmp_path / "a.jpg")
    ready(page, 1)
    page.click("#show-choices")
    until(
        page, "[...document.querySelectorAll('#choices img')].filter((image) => image.naturalWidth > 0).length === 10"
    )
    page.click("text=Calm, 125 %")
    until(page, "command.textContent.includes('--style natural --saturation 1.25')")
    page.focus("#calm")
    page.keyboard.press("End")
    until(page, "command.textContent.endsWith('--saturation 1.25 --calm 1')")
    ready(page, 1)
    name, data = download(page, "#download")
    assert data == as_on_the_command_line(page, tmp_path, name)
    page.check("#show-doubt")
    until(page, "doubt.naturalWidth === after.naturalWidth && !doubt.hidden")
    page.click("#usual")
    until(page, "command.textContent === 'restore photos a.jpg'")
    page.check("#eras >> text=Modern")
    until(page, "command.textContent === 'restore photos a.jpg --era modern'")
    ready(page, 1)
    modern = download(page, "#download")[1]
    (tmp_path / name).unlink()
    assert modern == as_on_the_command_line(page, tmp_path, name)
    page.check("#eras >> text=Old")
    until(page, "command.textContent.endsWith('--era period')")
    ready(page, 1)
    assert download(page, "#download")[1] != modern


def test_each_photo_gets_what_was_chosen_for_it(server: Server, visit: Visitor, tmp_path: Path) -> None:
    """However soon another one is looked at; and nothing moves under the visitor's hand meanwhile."""
    for number, name in enumerate(("a.png", "b.png")):
        save_grey(tmp_path / name, 320, 200, seed=number)
    page = visit(server.address).page
    page.set_input_files("#files", [tmp_path / "a.png", tmp_path / "b.png"])
    ready(page, 2)
    shown_after(page)
    until(page, "!uploads.children.length && !sending.textContent")
    places = """[compare, saturation, document.getElementById('doubt-part')].map(
        (one) => one.getBoundingClientRect().y + scrollY)"""
    before = page.evaluate(places)
    page.focus("#saturation")
    page.keyboard.press("End")
    page.click("text=b.png")
    assert page.input_value("#saturation") == "1"
    page.click("text=a.png")
    until(page, "!compare.classList.contains('loading')")
    commands = {"restore photos a.png"}
    while "restore photos a.png --saturation 2" not in commands:
        assert page.evaluate(places) == before
        commands.add(page.inner_text("#command"))
    assert len(commands) == 2
    ready(page, 2)
    page.click("text=b.png")
    assert page.inner_text("#command") == "restore photos b.png"
    page.click("text=a.png")
    page.check("#show-doubt")
    page.click("#for-all")
    page.click("text=b.png")
    until(page, "command.textContent === 'restore photos b.png --saturation 2' && doubt.naturalWidth === 320")


def test_what_can_not_be_coloured_says_why_and_stops_nobody(server: Server, visit: Visitor, tmp_path: Path) -> None:
    save_grey(tmp_path / "sound.png", 200, 120)
    broken = tmp_path / "broken.png"
    broken.write_bytes((tmp_path / "sound.png").read_bytes()[:2000])
    (tmp_path / "letter.txt").write_text("Dear Anna")
    colourful(200, 120).save(tmp_path / "holiday.png")
    opened = visit(server.address, viewport={"width": 400, "height": 800}, color_scheme="dark", accept_downloads=True)
    page = opened.page
    page.set_input_files("#files", [broken, tmp_path / "letter.txt", tmp_path / "sound.png", tmp_path / "holiday.png"])
    ready(page, 3)
    assert "broken.png is damaged" in page.inner_text("#message")
    assert "letter.txt is neither a photo nor a film" in page.inner_text("#problems")
    page.click("text=sound.png")
    shown_after(page)

    page.click("text=holiday.png")
    assert "in colour already" in page.inner_text("#message")
    until(page, "!before.hidden && before.naturalWidth > 0")
    assert page.is_hidden("#cut")  # there is nothing to compare
    assert download(page, "#download")[1] == (tmp_path / "holiday.png").read_bytes()
    page.check("#recolor")
    until(page, "command.textContent.includes('--already-color recolor')")
    ready(page, 3)
    name, data = download(page, "#download")
    assert data == as_on_the_command_line(page, tmp_path, name)

    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(241, 236, 229)"
    assert page.evaluate(_NAMELESS) == []
    assert all("400" in error or "415" in error for error in opened.errors)  # the view of the broken one, the letter
    opened.errors.clear()


def test_visitors_do_not_see_each_other(server: Server, visit: Visitor, tmp_path: Path) -> None:
    """Two tabs of one browser share what was uploaded; another browser has its own, at the same time."""
    one, other = visit(server.address), visit(server.address)
    save_grey(tmp_path / "mine.jpg", 300, 200)
    save_grey(tmp_path / "yours.jpg", 300, 200)
    one.page.set_input_files("#files", tmp_path / "mine.jpg")
    other.page.set_input_files("#files", tmp_path / "yours.jpg")
    ready(one.page, 1)
    ready(other.page, 1)
    tab = one.page.context.new_page()
    tab.goto(server.address)
    ready(tab, 1)
    assert tab.inner_text("#strip .label") == one.page.inner_text("#strip .label") == "mine.jpg"
    assert other.page.inner_text("#strip .label") == "yours.jpg"
    address = f"{server.address}{one.page.get_attribute('#download', 'href')}"
    assert tab.request.get(address).status == 200
    assert other.page.request.get(address).status == 404
    tab.on("dialog", lambda dialog: dialog.accept())
    with tab.expect_navigation():
        tab.click("#forget")
    until(tab, "document.querySelectorAll('#strip li').length === 0")
    assert tab.request.get(address).status == 404


def test_a_film(server: Server, visit: Visitor, tmp_path: Path) -> None:
    """Stills first, then the clip, with a way to cancel; it plays in the page, and is the command line's."""
    clip = make_clip(tmp_path / "wedding.mp4", Clip(columns=320, rows=240, times=range(200), sound=["aac"]))
    opened = visit(server.address, accept_downloads=True)
    page = opened.page
    page.set_input_files("#files", clip)
    ready(page, 1)
    until(page, "stills.naturalWidth > 400")
    assert page.is_hidden("#player")
    page.click("#go")
    page.click("#cancel")
    ready(page, 1)
    assert page.is_hidden("#player")
    assert "cancelled" in page.inner_text("#message")
    page.click("#go")
    until(page, "!player.hidden && player.readyState >= 2")
    assert page.evaluate("player.duration") > 1.5
    page.evaluate("player.muted = true; player.play()")
    until(page, "player.currentTime > 0.3")
    assert page.evaluate("player.webkitAudioDecodedByteCount") > 0
    name, data = download(page, "#download")
    assert name == "wedding-restored.mp4"
    (tmp_path / name).write_bytes(data)
    assert packets(tmp_path / name, 1) == packets(clip, 1)
    assert luma_planes(tmp_path / name)[1] == luma_planes(clip)[1]
    assert has_colour(tmp_path / name) and not has_colour(clip)
    assert page.inner_text("#command") == "restore video wedding.mp4"


def test_who_does_not_know_the_password_stays_outside(visit: Visitor, tmp_path: Path) -> None:
    add_user(tmp_path / "users", "anna", "three old cameras")
    server = Server(tmp_path / "server", "--auth", tmp_path / "users")
    try:
        opened = visit(server.address)
        page = opened.page
        for password in ("three new cameras", "three old cameras"):
            assert page.url == f"{server.address}/login"
            page.fill("#user", "anna")
            page.fill("#password", password)
            page.keyboard.press("Enter")
            if "new" in password:
                page.get_by_text("This name and password do not fit together.").wait_for()
        page.wait_for_selector("#drop")
        assert [error for error in opened.errors if "401" not in error] == []
        opened.errors.clear()
        page.close()  # it would find the server gone
    finally:
        server.stop()
