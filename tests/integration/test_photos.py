"""`restore photos` on sound input: the tree, the names, luma, formats, second runs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.options import EngineOptions, PhotoOptions
from restore.photos.dry_run import estimate_photos
from restore.photos.pipeline import restore_photos as color_photos
from restore.photos.verify import verify_photos
from tests.conftest import Result
from tests.pictures import chroma_of, colourful, files_below, grey, luma_of, save_grey

Run = Callable[..., Result]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_lossless_output_has_colour_and_the_very_luma(tmp_path: Path, restore_photos: Run, suffix: str) -> None:
    luma = save_grey(tmp_path / "in" / f"a{suffix}")
    assert restore_photos(tmp_path / "in").code == 0
    output = tmp_path / "in-restored" / f"a{suffix}"
    assert chroma_of(output) > 2
    assert np.array_equal(luma_of(output), luma)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_output_has_colour_and_nearly_the_luma(tmp_path: Path, restore_photos: Run, suffix: str) -> None:
    save_grey(tmp_path / "in" / f"a{suffix}", quality=95)
    assert restore_photos(tmp_path / "in").code == 0
    output = tmp_path / "in-restored" / f"a{suffix}"
    assert chroma_of(output) > 2
    assert np.abs(luma_of(output) - luma_of(tmp_path / "in" / f"a{suffix}")).mean() < 2


def test_tree_is_mirrored_and_originals_stay(tmp_path: Path, restore_photos: Run) -> None:
    names = {"a.jpg", "x/b.png", "x/y/c d.tif", "ü/ß.webp", "x/new\nline.png"}
    for seed, name in enumerate(sorted(names)):
        save_grey(tmp_path / "in" / name, seed=seed)
    before = {name: (tmp_path / "in" / name).read_bytes() for name in names}
    result = restore_photos(tmp_path / "in", "--output", tmp_path / "out", "--verbose")
    assert result.code == 0
    assert files_below(tmp_path / "out") == names
    assert {name: (tmp_path / "in" / name).read_bytes() for name in names} == before
    assert {file["path"] for file in result.report["files"]} == {str(tmp_path / "in" / name) for name in names}
    assert len(result.out.splitlines()) == len(names) + 1  # one line a file, whatever is in its name
    assert "new\\nline.png" in result.out


def test_report_tells_of_each_file(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.png", 90, 60)
    report = restore_photos(tmp_path / "in").report
    (file,) = report["files"]
    assert (file["width"], file["height"], file["tone"], file["model"]) == (90, 60, "neutral", "tiny")
    assert file["output"] == str(tmp_path / "in-restored" / "a.png")
    assert file["seconds"] > 0
    assert report["model"]["name"] == "tiny" and len(report["model"]["sha256"]) == 64
    assert report["device"] and report["dtype"]
    assert report["summary"]["done"] == 1 and report["summary"]["failed"] == 0


def test_many_sizes_in_batches_are_each_their_own(tmp_path: Path, restore_photos: Run) -> None:
    lumas = {f"{i}.png": save_grey(tmp_path / "in" / f"{i}.png", 40 + 7 * i, 90 - 5 * i, seed=i) for i in range(9)}
    assert restore_photos(tmp_path / "in", "--batch", 4, "--jobs", 3).code == 0
    for name, luma in lumas.items():
        assert np.array_equal(luma_of(tmp_path / "in-restored" / name), luma)


def test_single_file_goes_beside_it(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "a.jpg")
    assert restore_photos(tmp_path / "a.jpg").code == 0
    assert files_below(tmp_path) >= {"a.jpg", "a-restored.jpg"}


def test_second_run_does_nothing_without_loading_the_model(
    tmp_path: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_grey(tmp_path / "in" / "a.png")
    colourful().save(tmp_path / "in" / "c.jpg")
    assert restore_photos(tmp_path / "in", "--format", "png").code == 0
    output = tmp_path / "in-restored"
    before = {name: (output / name).stat().st_mtime_ns for name in files_below(output)}

    def refuse(options: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("restore.colorizers.load_engine", refuse)
    result = restore_photos(tmp_path / "in", "--format", "png")
    assert result.code == 0
    assert result.status("a.png") == result.status("c.jpg") == "skipped"
    assert {name: (output / name).stat().st_mtime_ns for name in files_below(output)} == before
    assert restore_photos(tmp_path / "in", model="nonsense").code == 6


def test_overwrite_writes_again(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.png")
    restore_photos(tmp_path / "in", "--saturation", 0)
    assert chroma_of(tmp_path / "in-restored" / "a.png") == 0
    assert restore_photos(tmp_path / "in", "--overwrite").status("a.png") == "done"
    assert chroma_of(tmp_path / "in-restored" / "a.png") > 2


@pytest.mark.parametrize("format", ["jpg", "png", "tif", "webp"])
def test_format_changes_container_and_suffix(tmp_path: Path, restore_photos: Run, format: str) -> None:
    save_grey(tmp_path / "in" / "a.bmp")
    assert restore_photos(tmp_path / "in", "--format", format).code == 0
    with Image.open(tmp_path / "in-restored" / f"a.{format}") as image:
        assert image.format == {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP"}[format]


def test_names_that_would_collide_keep_their_old_suffix(tmp_path: Path, restore_photos: Run) -> None:
    lumas = {name: save_grey(tmp_path / "in" / name, seed=i) for i, name in enumerate(["a.bmp", "a.png", "a.tif"])}
    assert restore_photos(tmp_path / "in", "--format", "png").code == 0
    assert files_below(tmp_path / "in-restored") == {"a.png", "a.png.png", "a.tif.png"}
    assert np.array_equal(luma_of(tmp_path / "in-restored" / "a.tif.png"), lumas["a.tif"])
    assert np.array_equal(luma_of(tmp_path / "in-restored" / "a.png"), lumas["a.bmp"])


@pytest.mark.parametrize(("choice", "status"), [("keep", "kept"), ("skip", "skipped"), ("recolor", "done")])
def test_photo_in_colour(tmp_path: Path, restore_photos: Run, choice: str, status: str) -> None:
    source = tmp_path / "in" / "c.png"
    source.parent.mkdir()
    colourful().save(source)
    result = restore_photos(tmp_path / "in", "--already-color", choice)
    assert (result.code, result.status("c.png")) == (0, status)
    output = tmp_path / "in-restored" / "c.png"
    assert output.exists() == (choice != "skip")
    if output.exists():
        assert (output.read_bytes() == source.read_bytes()) == (choice == "keep")


@pytest.mark.parametrize(("choice", "status"), [("keep", "kept"), ("skip", "skipped"), ("recolor", "done")])
def test_photo_tinted_by_hand(tmp_path: Path, restore_photos: Run, choice: str, status: str) -> None:
    print_ = np.repeat(grey(300, 200)[..., None], 3, axis=2).astype(np.int64)
    print_[60:110, 90:150] += [40, -10, 0]  # a cheek
    print_[140:180, 200:260] += [-20, 10, 25]  # a ribbon
    (tmp_path / "in").mkdir()
    Image.fromarray(np.clip(print_, 0, 255).astype(np.uint8)).save(tmp_path / "in" / "t.png")
    result = restore_photos(tmp_path / "in", "--already-color", choice)
    (file,) = result.report["files"]
    assert (file["tone"], file["status"]) == ("tinted", status)
    output = tmp_path / "in-restored" / "t.png"
    if choice != "recolor":
        assert file["reason"] == "it is tinted by hand"
        assert not output.exists() or output.read_bytes() == (tmp_path / "in" / "t.png").read_bytes()
        return
    assert np.array_equal(luma_of(output), luma_of(tmp_path / "in" / "t.png"))
    coloured = np.asarray(Image.open(output), np.int64)
    # The paint is gone: the ribbon is no more blue than what is beside it.
    blue = coloured[..., 2] - coloured[..., 0]
    assert abs(blue[150:170, 210:250].mean() - blue[150:170, 265:290].mean()) < 15


def test_toned_photo_is_coloured_from_its_luma(tmp_path: Path, restore_photos: Run) -> None:
    luma = save_grey(tmp_path / "grey.png")
    sepia = np.clip(luma[..., None] * np.array([1.0, 0.85, 0.65]), 0, 255).astype(np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(sepia).save(tmp_path / "in" / "s.png")
    result = restore_photos(tmp_path / "in")
    assert result.report["files"][0]["tone"] == "toned"
    assert np.array_equal(luma_of(tmp_path / "in-restored" / "s.png"), luma_of(tmp_path / "in" / "s.png"))


def test_include_exclude_and_no_recursive(tmp_path: Path, restore_photos: Run) -> None:
    for name in ("a.jpg", "b.PNG", "s/c.png", "s/t/d.png"):
        save_grey(tmp_path / "in" / name)
    restore_photos(tmp_path / "in", "--output", tmp_path / "1", "--include", "*.png", "--exclude", "s/t")
    assert files_below(tmp_path / "1") == {"b.PNG", "s/c.png"}
    restore_photos(tmp_path / "in", "--output", tmp_path / "2", "--no-recursive")
    assert files_below(tmp_path / "2") == {"a.jpg", "b.PNG"}


def test_dry_run_writes_nothing(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    result = restore_photos(tmp_path / "in", "--dry-run", with_report=False)
    assert result.code == 0
    assert str(tmp_path / "in-restored" / "a.jpg") in result.out
    assert not (tmp_path / "in-restored").exists()


def test_the_library_estimates_and_verifies_without_writing(tmp_path: Path, tiny_model: Path) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    save_grey(tmp_path / "in" / "b.jpg", seed=1)
    options = PhotoOptions([tmp_path / "in"])
    engine_options = EngineOptions(str(tiny_model), "cpu")
    before = files_below(tmp_path)
    notes: list[str] = []
    assert [record.status for record in estimate_photos(options, engine_options, notes.append)] == ["done"] * 2
    assert len(notes) == 1 and "2 photos to colour" in notes[0]
    assert verify_photos(options).failed == 2
    assert files_below(tmp_path) == before and not (tmp_path / "in-restored").exists()
    assert color_photos(options, engine_options).counts["done"] == 2
    output = tmp_path / "in-restored"
    (output / "b.jpg").unlink()
    before = files_below(tmp_path)
    found = {record.path.name: record.status for record in estimate_photos(options, engine_options, notes.append)}
    assert found == {"a.jpg": "skipped", "b.jpg": "done"}
    assert verify_photos(options).counts["done"] == 1
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("mode", ["dry_run", "verify"])
def test_a_mode_is_no_option_that_a_run_could_leave_unread(tmp_path: Path, mode: str) -> None:
    with pytest.raises(TypeError, match=mode):
        PhotoOptions([tmp_path], **{mode: True})  # type: ignore[arg-type]


def test_quiet_prints_errors_only(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_text("no picture")
    result = restore_photos(tmp_path / "in", "--quiet")
    assert (result.code, result.out) == (8, "")
    assert "b.jpg" in result.err and "a.jpg" not in result.err


@pytest.mark.parametrize("output", ["in", "in/out", ".", "new.jpg"])
def test_output_where_originals_are_is_refused(tmp_path: Path, restore_photos: Run, output: str) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    before = files_below(tmp_path)
    result = restore_photos(tmp_path / "in", "--output", tmp_path / output, with_report=False)
    assert result.code == (2 if output == "new.jpg" else 4)
    assert result.err.startswith("restore: error: ") and result.err.count("\n") == 1
    assert files_below(tmp_path) == before


def test_output_through_a_link_into_the_input_is_refused(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "sub" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert restore_photos(tmp_path / "in", "--output", tmp_path / "link" / "out").code == 4
    # A link deeper in the output: the folder is found out when its turn comes.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "in" / "sub")
    original = (tmp_path / "in" / "sub" / "a.jpg").read_bytes()
    assert restore_photos(tmp_path / "in", "--output", tmp_path / "out", "--overwrite").code == 8
    assert (tmp_path / "in" / "sub" / "a.jpg").read_bytes() == original
