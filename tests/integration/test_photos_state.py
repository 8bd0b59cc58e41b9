"""`restore photos` and its state file: second runs, what changed, verification, provenance, and steady results."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, PhotoOptions
from restore.photos.done import same_settings
from restore.photos.ledger import STATE_NAME, Ledger, fingerprint, read_entries
from tests.conftest import Result
from tests.pictures import colourful, files_below, grey, save_grey

Run = Callable[..., Result]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for i in range(6):
        save_grey(tmp_path / "in" / f"{i % 2}" / f"{i}.png", 120, 90, seed=i)
    colourful().save(tmp_path / "in" / "c.png")
    return tmp_path / "in"


def statuses(result: Result) -> list[str]:
    return sorted(file["status"] for file in result.report["files"])


def test_what_changed_is_done_again_and_what_did_not_is_skipped(archive: Path, restore_photos: Run) -> None:
    assert statuses(restore_photos(archive)) == ["done"] * 6 + ["kept"]
    assert statuses(restore_photos(archive)) == ["skipped"] * 7
    save_grey(archive / "0" / "0.png", 100, 80, seed=9)
    result = restore_photos(archive)
    assert statuses(result) == ["done"] + ["skipped"] * 6 and result.status("0.png") == "done"
    assert statuses(restore_photos(archive, "--saturation", 0.5)) == ["done"] * 6 + ["kept"]
    assert statuses(restore_photos(archive, "--saturation", 0.5)) == ["skipped"] * 7


def test_a_size_given_or_left_to_the_model_is_the_same_result(archive: Path, restore_photos: Run) -> None:
    restore_photos(archive)
    assert statuses(restore_photos(archive, "--size", 64)) == ["skipped"] * 7
    assert statuses(restore_photos(archive, "--size", 96)) == ["done"] * 6 + ["kept"]
    assert statuses(restore_photos(archive)) == ["done"] * 6 + ["kept"]


def test_what_version_0_1_did_stays_done(archive: Path, restore_photos: Run, tiny_model: Path) -> None:
    restore_photos(archive)
    state = archive.parent / "in-restored" / STATE_NAME
    settings = fingerprint(settings_of_0_1(hashlib.sha256(tiny_model.read_bytes()).hexdigest()))
    entries = [json.loads(line) | {"settings": settings} for line in state.read_text().splitlines()]
    state.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert statuses(restore_photos(archive)) == ["skipped"] * 7
    assert statuses(restore_photos(archive, "--size", 64)) == ["skipped"] * 7
    assert statuses(restore_photos(archive, "--quality", 80)) == ["done"] * 6 + ["kept"]


@pytest.mark.parametrize("noted", [None, "vivid", "natural"])
def test_a_style_noted_by_version_0_1(noted: str | None) -> None:
    """None was vivid for photos then, and is now."""
    checkpoint = find_checkpoint("default")
    old = fingerprint(settings_of_0_1(sha256(checkpoint)) | {"style": noted})
    options = PhotoOptions([Path("in")])
    known = {
        style: old in map(fingerprint, same_settings(options, EngineOptions(style=style), checkpoint))
        for style in (None, "vivid", "natural")
    }
    is_vivid = noted != "natural"
    assert known == {None: is_vivid, "vivid": is_vivid, "natural": not is_vivid}


def settings_of_0_1(model: str) -> dict[str, object]:
    """What version 0.1 made its fingerprint of, where no option was given."""
    engine = {"model": model, "size": None, "style": None, "calm": 0.0, "dropout": False}
    result = {"saturation": 1.0, "format": "keep", "quality": 95, "already_color": "keep"}
    return engine | result | {"provenance": True, "confidence": False}


def test_a_result_that_was_worked_on_is_left(archive: Path, restore_photos: Run) -> None:
    restore_photos(archive)
    touched = archive.parent / "in-restored" / "0" / "0.png"
    Image.fromarray(grey()).save(touched)
    before = touched.read_bytes()
    result = restore_photos(archive, "--saturation", 0.5)
    assert result.status("0.png") == "skipped" and touched.read_bytes() == before
    assert "changed" in next(file["reason"] for file in result.report["files"] if file["path"].endswith("0.png"))
    assert restore_photos(archive, "--overwrite").status("0.png") == "done"


def test_a_model_swapped_between_runs(archive: Path, restore_photos: Run, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    from restore.checkpoint import load_checkpoint, save_checkpoint

    swapped = tmp_path / "model.safetensors"
    shutil.copy(tiny_model, swapped)
    restore_photos(archive, model=swapped)
    assert statuses(restore_photos(archive, model=swapped)) == ["skipped"] * 7
    model, info = load_checkpoint(swapped)
    with torch.no_grad():
        next(model.parameters()).add_(0.5)
    save_checkpoint(swapped, model, info)
    assert statuses(restore_photos(archive, model=swapped)) == ["done"] * 6 + ["kept"]


@pytest.mark.parametrize("cut", [1, 5, 40, 150])
def test_a_torn_state_file(archive: Path, restore_photos: Run, cut: int) -> None:
    restore_photos(archive)
    state = archive.parent / "in-restored" / STATE_NAME
    state.write_bytes(state.read_bytes()[:-cut])
    lines = len(list(read_entries(state.parent)))
    assert lines == (7 if cut == 1 else 6)  # the end of a line alone is no loss
    # The result without a line is there, and nobody knows more of it: it stays.
    assert statuses(restore_photos(archive)) == ["skipped"] * 7
    assert statuses(restore_photos(archive, "--overwrite")) == ["done"] * 6 + ["kept"]
    assert len(list(read_entries(state.parent))) == lines + 7
    state.write_bytes(b"\xff\0garbage\n[1]\n" + state.read_bytes())
    assert statuses(restore_photos(archive)) == ["skipped"] * 7


def test_a_photo_in_colour_that_changes_its_name_with_the_options(tmp_path: Path, restore_photos: Run) -> None:
    (tmp_path / "in").mkdir()
    colourful().save(tmp_path / "in" / "a.jpg")
    found = [
        statuses(restore_photos(tmp_path / "in", "--format", "png", "--already-color", choice))
        for choice in ("keep", "recolor", "recolor", "keep")
    ]
    assert found == [["kept"], ["done"], ["skipped"], ["skipped"]]


def test_a_second_run_on_the_same_output_is_refused(archive: Path, restore_photos: Run) -> None:
    other = Ledger(archive.parent / "in-restored")
    other.hold()
    result = restore_photos(archive)
    assert result.code == 4 and "another run" in result.err
    other.close()
    assert not (archive.parent / "in-restored").exists()
    assert restore_photos(archive).code == 0


def test_an_output_folder_removed_in_the_middle(
    archive: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore.photos import pipeline

    write, output = pipeline.write_bytes, archive.parent / "in-restored"

    def write_and_remove(path: Path, data: bytes, times_of: Path | None) -> None:
        write(path, data)
        if path.name == "2.png":
            shutil.rmtree(output)

    monkeypatch.setattr(pipeline, "write_bytes", write_and_remove)
    result = restore_photos(archive, "--jobs", 1)
    assert result.code == 4 and "removed" in result.err
    monkeypatch.undo()
    assert restore_photos(archive).code == 0
    assert len(files_below(output)) == 7


def test_verify(archive: Path, restore_photos: Run) -> None:
    assert restore_photos(archive, "--verify").code == 9
    restore_photos(archive)
    assert restore_photos(archive, "--verify").code == 0
    output = archive.parent / "in-restored"
    damaged = output / "0" / "0.png"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    (output / "0" / "2.png").unlink()
    (output / "c.png").write_bytes(b"x")
    result = restore_photos(archive, "--verify")
    assert result.code == 9
    assert "SHA-256" in result.error("0.png") and "gone" in result.error("2.png") and "SHA-256" in result.error("c.png")
    assert result.report["summary"]["done"] == 4
    # Without a state file, the luma tells.
    (output / STATE_NAME).unlink()
    save_grey(damaged, 120, 90, seed=5)
    pages = np.stack([grey(), grey(seed=2)])
    tifffile.imwrite(archive / "two.tif", pages, photometric="minisblack")
    tifffile.imwrite(output / "two.tif", pages[0])
    result = restore_photos(archive, "--verify")
    assert "luma" in result.error("0.png") and "not as many pages" in result.error("two.tif")


@pytest.mark.parametrize("format", ["jpg", "webp", "tif", "jp2"])
def test_verify_in_other_formats(archive: Path, restore_photos: Run, format: str) -> None:
    tifffile.imwrite(archive / "deep.tif", grey().astype("uint16") * 257)
    assert restore_photos(archive, "--format", format).code == 0
    result = restore_photos(archive, "--format", format, "--verify")
    assert result.code == 0, result.err


def test_hashes_and_provenance(archive: Path, restore_photos: Run) -> None:
    save_grey(archive / "a.tif")
    save_grey(archive / "a.jpg", xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r harbour="1"/></x:xmpmeta>')
    save_grey(archive / "b.jpg", xmp=b"no XML at all <")
    save_grey(archive / "b.bmp")
    report = restore_photos(archive, "--format", "keep").report
    model = report["model"]
    for file in report["files"]:
        for key, path in (("source", file["path"]), ("result", file["output"])):
            assert file["sha256"][key] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if file["path"].endswith(".bmp"):
            assert file["notes"] == ["BMP holds no tags: that its colour is a guess stands in no place but the report"]
        elif file["status"] == "done":
            with Image.open(file["output"]) as image:
                xmp = image.info["xmp"].decode()
            ElementTree.fromstring(xmp.lstrip("\ufeff"))
            assert "digitalsourcetype/algorithmicallyEnhanced" in xmp
            assert model["name"] in xmp and model["sha256"] in xmp and "restore 0" in xmp
            assert ("harbour" in xmp) == file["path"].endswith("a.jpg")
    assert any("XMP" in note for file in report["files"] for note in file["notes"])
    assert restore_photos(archive, "--output", archive.parent / "bare", "--no-provenance").code == 0
    with Image.open(archive.parent / "bare" / "a.tif") as image:
        assert "xmp" not in image.info


def test_provenance_is_added_to_what_xmp_says() -> None:
    from restore.photos.provenance import Provenance

    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="old" '
        'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="harbour">'
        "<xmpMM:History><rdf:Seq><rdf:li>scanned</rdf:li></rdf:Seq></xmpMM:History></rdf:Description></rdf:RDF>"
        "</x:xmpmeta>"
    )
    once, sound = Provenance('m"<&', "ab").add_to(packet.encode())
    assert sound and once.count(b"DigitalSourceType") == 1 and b'"old"' not in once
    assert once.count(b"<xmpMM:History>") == 1 and b"scanned" in once and b"harbour" in once
    twice, _ = Provenance("m", "ab").add_to(once)
    assert twice.count(b"DigitalSourceType") == 1
    ElementTree.fromstring(twice.decode())


def test_a_photo_is_the_same_whatever_its_neighbours(tmp_path: Path, restore_photos: Run) -> None:
    for i in range(16):
        save_grey(tmp_path / "in" / f"{i:02}.png", 90 + i, 70, seed=i)
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "in" / "07.png", tmp_path / "alone" / "07.png")
    assert restore_photos(tmp_path / "alone", "--output", tmp_path / "one").code == 0
    wanted = (tmp_path / "one" / "07.png").read_bytes()
    for number, options in enumerate(
        (["--batch", 16], ["--batch", 16, "--jobs", 1], ["--batch", 1, "--jobs", 4], ["--batch", 3, "--jobs", 2])
    ):
        output = tmp_path / f"out{number}"
        assert restore_photos(tmp_path / "in", "--output", output, *options).code == 0
        assert (output / "07.png").read_bytes() == wanted, options


def test_state_of_a_large_archive_is_read_in_a_moment(tmp_path: Path) -> None:
    import time
    import tracemalloc

    line = {"source": "x" * 60, "size": 1, "mtime_ns": 2, "settings": "0" * 16, "result_size": 3, "status": "done"}
    hashes = {"sha256": "0" * 64, "source_sha256": "0" * 64}
    with (tmp_path / STATE_NAME).open("w") as stream:
        for i in range(100_000):
            stream.write(json.dumps({"name": f"folder/{i}.jpg"} | line | hashes) + "\n")
    tracemalloc.start()
    begin = time.process_time()
    ledger = Ledger(tmp_path)
    seconds = time.process_time() - begin
    assert tracemalloc.get_traced_memory()[0] < 60_000_000
    tracemalloc.stop()
    assert seconds < 20
    assert ledger.state("folder/7.jpg", tmp_path, tmp_path, "0" * 16) != ""


def test_state_file_is_not_taken_for_a_photo(archive: Path, restore_photos: Run) -> None:
    restore_photos(archive)
    assert os.path.exists(archive.parent / "in-restored" / STATE_NAME)  # noqa: PTH110
    again = restore_photos(archive.parent / "in-restored", "--output", archive.parent / "second")
    assert STATE_NAME not in {Path(file["path"]).name for file in again.report["files"]}
