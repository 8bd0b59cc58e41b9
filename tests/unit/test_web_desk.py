"""What becomes of a visitor's photo or clip while others look at it."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restore.errors import OutputError
from restore.options import ServeOptions
from restore.web import desk as desk_module
from restore.web.archive import named_apart, zip_of
from restore.web.desk import Desk
from restore.web.items import Item, Kind, Settings
from tests.clips import Clip, make_clip
from tests.pictures import save_grey


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    desk = Desk(ServeOptions())
    yield desk
    assert desk.close(5)


def item_of(kind: Kind, source: Path) -> Item:
    return Item(kind, source.name, source.parent, source, source.stat().st_size)


def work(desk: Desk, item: Item, saturation: float = 1.0, meanwhile: Callable[[], object] = lambda: None) -> None:
    desk.ask(item, "colour", Settings(saturation=saturation))
    end = time.monotonic() + 60
    while item.state in ("waiting", "working"):
        assert time.monotonic() < end
        meanwhile()
        time.sleep(0.001)
    assert item.state == "idle", item.message


def test_a_number_stands_for_one_result_alone(desk: Desk, tmp_path: Path) -> None:
    """A browser keeps what it got for an address: while a result takes the place of another, the older one is never
    given for the newer, and there is always one to see."""
    save_grey(tmp_path / "a.png", 300, 200)
    item, views = item_of("photo", tmp_path / "a.png"), dict[int, set[bytes]]()

    def look() -> None:
        number = item.number
        desk.doubt_view(item, number)
        path = desk.view(item, number) if number else None
        data = path.read_bytes() if path and path.exists() else b""
        if data and number == item.number:
            views.setdefault(number, set()).add(data)

    for number in range(1, 9):
        work(desk, item, number / 8, look)
        look()
    assert [len(views[number]) for number in range(1, 9)] == [1] * 8
    assert len(set.union(*views.values())) == 8
    assert desk.view(item, 1) == desk.view(item, 8) != desk.view(item, 0)
    assert desk.view(item, 9) is None and desk.doubt_view(item, 9) is None


def test_what_is_removed_while_a_zip_is_sent_breaks_nothing(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 9)
    chunks = zip_of(named_apart((f"{path.name}.jpg", path) for path in sorted(tmp_path.iterdir())))
    data = next(chunks)
    (tmp_path / "b").unlink()
    data += b"".join(chunks)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.jpg": b"a" * 9, "c.jpg": b"c" * 9}


def test_a_clip_that_can_not_be_played_is_not_lost(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(film: Path, stopping: object) -> bool:
        raise OutputError(f"no copy of {film} could be made")

    monkeypatch.setattr(desk_module, "write_playable", fail)
    clip = make_clip(tmp_path / "a.mp4", Clip(columns=64, rows=48, times=range(12)))
    item = item_of("film", clip)
    work(desk, item)
    assert item.result is not None and item.result.path.exists()
    assert item.result.notes[-1].startswith("this page can't play the result")
