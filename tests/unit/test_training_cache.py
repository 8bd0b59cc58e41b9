"""The cache of decoded pictures: the same crops with it as without, whatever becomes of the processes and the disk."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from restore.errors import OutputError
from restore.sources import open_source
from train import cache as cache_module
from train.cache import PictureCache
from train.data import Batch, CropDataset, batches
from train.framing import Framing, Rgb

FRAMING = Framing(64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, of which one is broken."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(9):
        Image.fromarray(data.astronaut()[i * 20 : i * 20 + 200, i * 25 : i * 25 + 220]).save(root / f"{i}.jpg")
    (root / "broken.jpg").write_bytes(b"no picture")
    return root


def drawn(folder: Path, cache: PictureCache | None, workers: int = 0, count: int = 6) -> list[Batch]:
    stream = batches(CropDataset(open_source(folder), FRAMING, 3, cache), 4, 0, workers, pin=False)
    return [next(stream) for _ in range(count)]


def equal(ones: list[Batch], others: list[Batch]) -> bool:
    return all(
        torch.equal(a.rgb, b.rgb) and (a.numbers, a.broken) == (b.numbers, b.broken)
        for a, b in zip(ones, others, strict=True)
    )


def refuse(*_: object) -> Rgb:
    raise AssertionError("decoded although it is in the cache")


def test_crops_are_the_same_from_an_empty_and_a_full_cache_and_nothing_is_decoded_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drawn(folder, PictureCache(tmp_path / "cache"))
    kept = PictureCache(tmp_path / "cache")
    assert kept.pictures == 9
    assert kept.bytes == (tmp_path / "cache" / "data.mdb").stat().st_size
    assert equal(drawn(folder, kept, workers=2), first)
    # Crops show the same parts as without, to a pixel or two, of pictures shrunk to what the framing needs.
    for ours, theirs in zip(first, drawn(folder, None), strict=True):
        assert ours.broken == theirs.broken
        assert (ours.rgb.float() - theirs.rgb.float()).abs().mean() < 12
    (tmp_path / "whole").mkdir()
    for path in folder.glob("[0-9].jpg"):
        shutil.copy2(path, tmp_path / "whole")
    drawn(tmp_path / "whole", kept)
    monkeypatch.setattr(CropDataset, "_decoded", refuse)
    drawn(tmp_path / "whole", kept)


def test_a_changed_picture_and_another_scale_are_decoded_anew(folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy2(folder / "0.jpg", photos)
    cache = PictureCache(tmp_path / "cache")
    drawn(photos, cache)
    Image.fromarray(np.zeros((200, 220, 3), np.uint8)).save(photos / "0.jpg")
    assert not drawn(photos, cache)[0].rgb.any()
    next(batches(CropDataset(open_source(photos), Framing(96), 3, cache), 4, 0, 0, pin=False))
    assert PictureCache(tmp_path / "cache").pictures == 3


def fill(folder: Path, cache: Path, begun: Connection) -> None:
    for _ in batches(CropDataset(open_source(folder), FRAMING, 3, PictureCache(cache)), 1, 0, 0, pin=False):
        begun.send(True)


def test_a_killed_process_leaves_it_whole(folder: Path, tmp_path: Path) -> None:
    expected = drawn(folder, PictureCache(tmp_path / "other"))
    forked = multiprocessing.get_context("fork")
    for wait in (0.0, 0.002, 0.005, 0.01):
        ours, theirs = forked.Pipe()
        process = forked.Process(target=fill, args=(folder, tmp_path / "cache", theirs))
        process.start()
        assert ours.recv()
        time.sleep(wait)
        process.kill()
        process.join()
        assert PictureCache(tmp_path / "cache").pictures > 0
    assert equal(drawn(folder, PictureCache(tmp_path / "cache"), workers=2), expected)


def test_what_has_no_room_is_decoded_each_time_and_that_is_said(folder: Path, tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "cache", gigabytes=200e-6)
    told = drawn(folder, cache)
    assert equal(told, drawn(folder, PictureCache(tmp_path / "other")))
    assert [note for batch in told for note in batch.notes] == [
        f"the cache {tmp_path / 'cache'} keeps no more pictures: it has reached 0.0002 GB"
    ]
    assert 0 < PictureCache(tmp_path / "cache").bytes <= 200_000


@pytest.mark.parametrize("free", [0.05, -1.0])
def test_a_full_disk_stops_the_keeping_and_nothing_else(
    free: float, folder: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_LEAVE_FREE", free)
    (small_disk / "filler").write_bytes(bytes(1_800_000))
    told = drawn(folder, PictureCache(small_disk / "cache"))
    notes = [note for batch in told for note in batch.notes]
    assert len(notes) == 1
    assert ("nearly full" if free > 0 else "is its disk full?") in notes[0]
    (small_disk / "filler").unlink()
    assert equal(drawn(folder, PictureCache(small_disk / "cache")), told)


def test_what_is_no_cache_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be used"):
        PictureCache(tmp_path / "file")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "data.mdb").write_bytes(bytes(range(256)) * 64)
    with pytest.raises(OutputError, match="can't be used"):
        PictureCache(tmp_path / "foreign")
    drawn(folder, PictureCache(tmp_path / "cut"))
    os.truncate(tmp_path / "cut" / "data.mdb", 20_000)
    with pytest.raises(OutputError, match="cut off"):
        PictureCache(tmp_path / "cut")
