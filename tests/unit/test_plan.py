"""The plan: which files, in what order, under what names, and in bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from restore.errors import OutputError
from restore.options import PhotoOptions
from restore.photos.plan import PassedOver, PlannedPhoto, find_roots, plan


def planned(options: PhotoOptions) -> dict[str, str]:
    """Source name → output, both below the working folder."""
    items = plan(find_roots(options), options)
    return {str(item.source): str(item.output) for item in items if isinstance(item, PlannedPhoto)}


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_several_inputs_get_folders_of_their_own() -> None:
    touch("a/photos/1.jpg", "b/photos/1.jpg", "1.jpg", "c/1.jpg")
    inputs = [Path("a/photos"), Path("b/photos"), Path("1.jpg"), Path("c/1.jpg"), Path("c/../1.jpg")]
    assert planned(PhotoOptions(inputs, Path("out"))) == {
        "a/photos/1.jpg": "out/photos/1.jpg",
        "b/photos/1.jpg": "out/photos-2/1.jpg",
        "1.jpg": "out/1.jpg",
        "c/1.jpg": "out/1.jpg.jpg",
    }


def test_names_differ_in_more_than_case() -> None:
    touch("in/X.JPG", "in/x.jpg", "in/x.jpeg", "in/X.png/1.jpg", "in/y.png")
    outputs = list(planned(PhotoOptions([Path("in")], Path("out"), format="png")).values())
    assert len({output.casefold() for output in outputs}) == len(outputs) == 5
    assert "out/X.png" not in outputs  # it is a folder's
    assert planned(PhotoOptions([Path("in")], Path("out")))["in/x.jpg"] == "out/x.jpg.jpg"


def test_format_keeps_a_suffix_of_that_format() -> None:
    touch("in/a.JPEG", "in/b.png")
    outputs = planned(PhotoOptions([Path("in")], Path("out"), format="jpg"))
    assert outputs == {"in/a.JPEG": "out/a.JPEG", "in/b.png": "out/b.jpg"}


def test_copies_never_share_a_name_with_a_result() -> None:
    touch("in/a.jpg", "in/a.png", "in/a.png.png", "in/a.tif", "in/a.jpg.tif")
    options = PhotoOptions([Path("in")], Path("out"), format="png")
    items = [item for item in plan(find_roots(options), options) if isinstance(item, PlannedPhoto)]
    names = [path for item in items for path in {item.output, item.copy}]
    assert len(names) == len(set(names))
    assert {item.copy.suffix for item in items} == {".jpg", ".png", ".tif"}


def test_hidden_files_and_folders_are_not_met() -> None:
    touch("in/.a.jpg", "in/.git/b.jpg", "in/c.jpg")
    assert list(planned(PhotoOptions([Path("in")]))) == ["in/c.jpg"]


def test_default_output_of_the_working_folder() -> None:
    touch("in/a.jpg")
    (output,) = planned(PhotoOptions([Path("in/.")])).values()
    assert output == "in-restored/a.jpg"


def test_text_and_pipes_are_passed_over() -> None:
    import os

    touch("in/a.txt")
    os.mkfifo("in/pipe.jpg")
    options = PhotoOptions([Path("in")])
    items = list(plan(find_roots(options), options))
    assert [(item.path.name, item.failed) for item in items if isinstance(item, PassedOver)] == [
        ("a.txt", False),
        ("pipe.jpg", True),
    ]


def test_target_that_is_an_input_is_refused() -> None:
    touch("a.jpg", "a-restored.jpg")
    with pytest.raises(OutputError, match="is itself an input"):
        find_roots(PhotoOptions([Path("a.jpg")], Path()))
    both = [Path("a.jpg"), Path("a-restored.jpg")]
    find_roots(PhotoOptions(both))  # there already, so it is skipped
    with pytest.raises(OutputError, match="is itself an input"):
        find_roots(PhotoOptions(both, overwrite=True))


def test_memory_stays_flat_over_many_folders() -> None:
    for folder in range(100):
        touch(*(f"in/{folder:03}/{i:03}.jpg" for i in range(100)))
    options = PhotoOptions([Path("in")])
    tracemalloc.start()
    count = sum(1 for _ in plan(find_roots(options), options))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 1_000_000  # a list of them all takes several MB
