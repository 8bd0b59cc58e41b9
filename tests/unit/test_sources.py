"""Pictures from folders, shards and lists: the same bytes, in the same order, in any process."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from restore.errors import InputError
from restore.sources import PhotoSource, joined, open_source, split


def content(name: str) -> bytes:
    """Sources don't decode, so any bytes will do; these are of unequal length and tell where they belong."""
    return name.encode() * (len(name) % 7 + 200)


def write_tree(root: Path, names: list[str]) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))


def write_tar(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content(name))
            tar.addfile(member, io.BytesIO(content(name)))


def names_in(source: PhotoSource) -> list[str]:
    return [source.name(i) for i in range(len(source))]


def test_a_tree_is_walked_at_any_depth_in_sorted_order_without_hidden_and_foreign_files(tmp_path: Path) -> None:
    wanted = ["a.jpg", "n01/n01_1.JPEG", "n01/n01_2.JPEG", "n02/deep/er/x.webp", "umlaut ä\n.png", "z.TIF"]
    foreign = ["notes.txt", ".hidden.jpg", ".cache/x.jpg", "n01/._n01_1.JPEG", "jpg", "movie.mp4"]
    write_tree(tmp_path, sorted(wanted + foreign, reverse=True))
    source = open_source(tmp_path)
    assert names_in(source) == [str(tmp_path / name) for name in wanted]
    assert [source.read(i) for i in range(len(source))] == [content(name) for name in wanted]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write_tree(tmp_path / "elsewhere", ["x.jpg"])
    data = tmp_path / "data"
    write_tree(data, ["a.jpg"])
    (data / "class").symlink_to(tmp_path / "elsewhere")
    (data / "loop").symlink_to(data)
    (data / "self.d").symlink_to(data / "self.d")
    (data / "dead.jpg").symlink_to(tmp_path / "gone.jpg")
    source = open_source(data)
    assert names_in(source) == [str(data / name) for name in ("a.jpg", "class/x.jpg", "dead.jpg")]
    with pytest.raises(InputError, match=r"dead\.jpg can't be read"):
        source.read(2)


def test_shards_give_their_members(tmp_path: Path) -> None:
    write_tar(tmp_path / "s-00001.tar", ["c.webp"])
    long = "long/" * 40 + "name.jpg"  # a tar keeps this name in a block of its own
    write_tar(tmp_path / "s-00000.tar", ["b.jpg", "b.json", "a.JPG", ".x.jpg", long])
    (tmp_path / "loose.jpg").write_bytes(b"not used where there are shards")
    for path, wanted in (
        (
            tmp_path,
            [("s-00000.tar", "b.jpg"), ("s-00000.tar", "a.JPG"), ("s-00000.tar", long), ("s-00001.tar", "c.webp")],
        ),
        (tmp_path / "s-00001.tar", [("s-00001.tar", "c.webp")]),
    ):
        source = open_source(path)
        assert names_in(source) == [f"{tmp_path / shard}:{member}" for shard, member in wanted]
        assert [source.read(i) for i in range(len(source))] == [content(member) for _, member in wanted]


def test_a_list_names_paths_relative_to_its_folder(tmp_path: Path) -> None:
    write_tree(tmp_path, ["sub/b.jpg", "a.png"])
    absolute = tmp_path / "sub" / "b.jpg"
    lines = ["\ufeff# a comment", "", "  sub/b.jpg  ", "a.png\r", str(absolute), "missing.jpg", "notes.txt"]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    source = open_source(tmp_path / "list.txt")
    assert names_in(source) == [str(absolute), str(tmp_path / "a.png"), str(absolute), str(tmp_path / "missing.jpg")]
    assert source.read(1) == content("a.png")
    assert source.read(2) == content("sub/b.jpg")
    with pytest.raises(InputError, match=r"missing\.jpg can't be read"):
        source.read(3)


def test_names_that_are_no_valid_text_survive(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xe9.jpg"
    try:
        with open(path, "wb") as stream:  # noqa: PTH123  only bytes can name it
            stream.write(b"data")
    except OSError:
        pytest.skip("this file system takes valid text only")
    source = open_source(tmp_path)
    assert os.fsencode(source.name(0)) == path
    assert source.read(0) == b"data"


def test_select_and_split(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", [f"{i:02}.jpg" for i in range(20)])
    source = open_source(tmp_path / "s.tar")
    assert [source.select([5, 3]).read(i) for i in (0, 1)] == [content("05.jpg"), content("03.jpg")]
    assert source.select([5, 3]).select([1]).name(0).endswith(":03.jpg")
    for share, count in ((0.25, 5), (7, 7), (0.001, 1)):
        train, val = split(source, share, seed=1)
        assert (len(train), len(val)) == (20 - count, count)
        assert sorted(names_in(train) + names_in(val)) == names_in(source)
        assert names_in(split(source, share, seed=1)[1]) == names_in(val) == sorted(names_in(val))
    assert names_in(split(source, 7, seed=2)[1]) != names_in(split(source, 7, seed=1)[1])
    for share in (20, 0, 1.0):
        with pytest.raises(InputError, match="can't be split"):
            split(source, share, seed=1)


def digest(source: PhotoSource) -> list[bytes]:
    return [source.read(i) for i in range(len(source))]


def test_other_processes_and_threads_read_the_same(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", [f"{i:02}.jpg" for i in range(30)])
    source = open_source(tmp_path / "s.tar").select(range(4, 30))
    expected = [content(f"{i:02}.jpg") for i in range(4, 30)]
    assert digest(source) == expected
    assert digest(pickle.loads(pickle.dumps(source))) == expected
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(digest, source).result() == expected
    with ThreadPoolExecutor(8) as threads:
        assert all(read == expected for read in threads.map(digest, [source] * 40))


def test_a_million_pictures_fit_into_a_hundred_bytes_each(tmp_path: Path) -> None:
    write_tree(tmp_path, [f"n{i % 10:08}/n{i:08}_{i}.JPEG" for i in range(300)])
    assert len(pickle.dumps(open_source(tmp_path))) < 300 * 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "holds no pictures"),
        (lambda path: path.write_text("# nothing\n\nnotes.txt\n"), "holds no pictures"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00\x81 binary"), "no text file of paths"),
    ],
)
def test_nothing_to_read_is_an_input_error(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path / "data")  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path / "data")
    assert str(tmp_path / "data") in caught.value.message


def test_a_single_picture_is_refused_with_what_to_give(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a.jpg"])
    with pytest.raises(InputError, match="single picture"):
        open_source(tmp_path / "a.jpg")


def test_a_shard_cut_anywhere_or_overwritten_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.tar"
    write_tar(whole, ["a.jpg", "b.jpg", "c.jpg"])
    data = whole.read_bytes()
    with tarfile.open(whole) as tar:
        second, third = tar.getmembers()[1:]
    cuts = {
        "in a header": second.offset + 100,
        "between members": second.offset,
        "in the data": third.offset_data + 10,
        "before the end mark": third.offset_data + 512 * (-(-third.size // 512)),
        "at once": 0,
    }
    broken = {where: data[:cut] for where, cut in cuts.items()}
    broken["rubbish"] = data[: second.offset] + b"\x07" * 512 + data[second.offset + 512 :]
    broken["compressed"] = b"\x1f\x8b" + data[2:]
    for where, rest in broken.items():
        (tmp_path / "cut.tar").write_bytes(rest)
        with pytest.raises(InputError, match=r"cut\.tar is damaged") as caught:
            open_source(tmp_path / "cut.tar")
        assert caught.value.hint, where


def test_a_shard_that_shrank_after_listing_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", ["a.jpg"])
    source = open_source(tmp_path / "s.tar")
    with (tmp_path / "s.tar").open("r+b") as stream:
        stream.truncate(600)
    with pytest.raises(InputError, match=r"s\.tar:a\.jpg.*shorter"):
        source.read(0)


def test_a_picture_is_known_by_where_it_lies_and_by_its_files_size_and_time(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", ["a.jpg", "b.jpg"])
    write_tar(tmp_path / "shard.tar", ["a.jpg", "b.jpg"])
    for source, file in (
        (open_source(tmp_path / "tree"), tmp_path / "tree" / "a.jpg"),
        (open_source(tmp_path / "shard.tar"), tmp_path / "shard.tar"),
    ):
        before = source.identity(0)
        assert before == pickle.loads(pickle.dumps(source)).identity(0)
        assert before != source.identity(1)
        os.utime(file, ns=(0, 1))
        assert source.identity(0) != before
        file.unlink()
        with pytest.raises(FileNotFoundError):
            source.identity(0)


def test_joined_sources_repeat_and_read_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "tree", ["a.jpg", "deep/b.png"])
    write_tar(tmp_path / "one.tar", ["c.jpg", "d.jpg"])
    write_tar(tmp_path / "two.tar", ["e.jpg"])
    monkeypatch.chdir(tmp_path)
    sources = [open_source(path) for path in (Path("tree"), tmp_path / "one.tar", Path("two.tar"))]
    both = joined([(sources[0], 1), (sources[1].select([1]), 3), (sources[2], 2)])
    monkeypatch.chdir("/")
    names = ["a.jpg", "deep/b.png", *["d.jpg"] * 3, *["e.jpg"] * 2]
    assert [both.read(i) for i in range(len(both))] == [content(name) for name in names]
    assert names_in(both)[1:3] == [str(tmp_path / "tree/deep/b.png"), f"{tmp_path / 'one.tar'}:d.jpg"]
    assert both.identity(2) == both.identity(4) != both.identity(5)
    assert pickle.loads(pickle.dumps(both)).read(6) == content("e.jpg")
