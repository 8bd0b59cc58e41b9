"""`restore photos` stopped in the middle: killed, interrupted, or out of disk. Nothing half-written, and a second run
ends with what an uninterrupted one gives."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Result
from tests.pictures import files_below, luma_of, save_grey

Run = Callable[..., Result]
PHOTOS = 60


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for i in range(PHOTOS):
        save_grey(tmp_path / "in" / f"{i % 3}" / f"{i:02}.png", 700, 500, seed=i)
    return tmp_path / "in"


def start(archive: Path, model: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, once some photos are done."""
    report = archive.parent / "report.json"
    command = [sys.executable, "-m", "restore", "photos", str(archive), "--model", str(model), "--report", str(report)]
    process = subprocess.Popen([*command, "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if len(list((archive.parent / "in-restored").rglob("[0-9]*.png"))) >= 3:
            return process
        time.sleep(0.002)
    process.kill()
    raise AssertionError(f"no photo was done in time: {process.communicate()}")


def check_whole(archive: Path) -> None:
    """Every output is a whole picture; a photo of noise cut short could not be read."""
    output = archive.parent / "in-restored"
    for name in files_below(output):
        if not Path(name).name.startswith("."):
            assert (luma_of(output / name) == luma_of(archive / name)).all()


def assert_same_picture(one: Path, other: Path) -> None:
    with Image.open(one) as first, Image.open(other) as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))


def test_killed_and_run_again_equals_uninterrupted(archive: Path, tiny_model: Path, restore_photos: Run) -> None:
    process = start(archive, tiny_model)
    process.kill()
    process.communicate()
    output = archive.parent / "in-restored"
    done = [name for name in files_below(output) if not Path(name).name.startswith(".")]
    assert 3 <= len(done) < PHOTOS
    check_whole(archive)
    stale = output / "0" / f".x.png.restore-{process.pid}-0.part"
    stale.touch()  # whether the kill came within a write is chance
    assert restore_photos(archive).report["summary"]["skipped"] == len(done)
    assert restore_photos(archive, "--output", archive.parent / "whole").code == 0
    assert files_below(output) == files_below(archive.parent / "whole")
    for name in files_below(output):
        assert_same_picture(output / name, archive.parent / "whole" / name)
    assert not list(archive.parent.glob(".report*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_finish_what_is_in_hand(archive: Path, tiny_model: Path, number: signal.Signals, code: int) -> None:
    process = start(archive, tiny_model)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert said.count("\n") == 1 and "again" in said
    written = files_below(archive.parent / "in-restored")
    assert 3 <= len(written) < PHOTOS
    assert not any(Path(name).name.startswith(".") for name in written)
    check_whole(archive)
    report = json.loads((archive.parent / "report.json").read_text())
    done = {Path(file["output"]).name for file in report["files"] if file["status"] == "done"}
    assert done == {Path(name).name for name in written}


def check_full_disk(result: Result, archive: Path) -> None:
    assert result.code == 4
    assert "disk is full" in result.err and "Free some space" in result.err
    assert result.report["summary"]["done"] >= 1
    assert sum(result.report["summary"][status] for status in ("done", "failed")) < PHOTOS  # it ended early


def test_full_disk_ends_the_run(
    archive: Path, small_disk: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Others fill it after the estimate.
    monkeypatch.setattr("restore.photos.estimate.free_space", lambda folder: 10**12)
    stopped = restore_photos(archive, "--output", small_disk / "out")
    check_full_disk(stopped, archive)
    assert not any(Path(name).name.startswith(".") for name in files_below(small_disk))
    # With more room the same command goes on.
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = restore_photos(archive, "--output", small_disk / "out")
    assert result.code == 0 and result.report["summary"]["skipped"] == stopped.report["summary"]["done"]
    assert len(files_below(small_disk)) == PHOTOS


def test_injected_full_disk_ends_the_run(archive: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from restore.photos import pipeline

    write, written = pipeline.write_bytes, []

    def write_until_full(path: Path, data: bytes, times_of: Path | None) -> None:
        from restore.files import output_error

        written.append(path)
        if len(written) > 5:
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise output_error(path, error) from error
        write(path, data)

    monkeypatch.setattr(pipeline, "write_bytes", write_until_full)
    result = restore_photos(archive)
    check_full_disk(result, archive)
    assert len(files_below(archive.parent / "in-restored")) == 5


def test_unwritable_places_end_the_run_before_work(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    (tmp_path / "file").touch()
    assert restore_photos(tmp_path / "in", "--output", tmp_path / "file").code == 4
    assert restore_photos(tmp_path / "in", "--output", tmp_path / "file" / "out").code == 4
    assert restore_photos(tmp_path / "in", "--output", "/proc/out").code == 4
    result = restore_photos(tmp_path / "in", "--report", tmp_path / "file" / "r.json", with_report=False)
    assert result.code == 4 and not (tmp_path / "in-restored").exists()


def test_model_and_device_errors_leave_nothing(tmp_path: Path, restore_photos: Run) -> None:
    save_grey(tmp_path / "in" / "a.jpg")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    for arguments, code in (
        ({"model": tmp_path / "bad.safetensors"}, 6),
        ({"model": "no-such-model"}, 6),
    ):
        result = restore_photos(tmp_path / "in", **arguments)
        assert result.code == code and result.err.count("\n") == 1
    assert restore_photos(tmp_path / "in", "--size", 70).code == 2
    assert restore_photos(tmp_path / "in", "--device", "toaster").code == 2
    assert not (tmp_path / "in-restored").exists()


def test_failure_of_the_engine_is_told_and_ends_the_run(
    archive: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore.colorizers import Engine
    from restore.errors import DeviceError

    predict, calls = Engine.predict, []

    def fail_later(self: Engine, lumas: Any, *more: Any) -> Any:
        calls.append(len(lumas))
        if len(calls) > 8:  # one photo a call, as on a CPU each goes alone
            raise DeviceError("too little memory", "Give a smaller --size")
        return predict(self, lumas, *more)

    monkeypatch.setattr(Engine, "predict", fail_later)
    result = restore_photos(archive, "--batch", 4)
    assert result.code == 7
    assert len(calls) <= 10  # both batches in hand fail, and no further one is begun
    counts = result.report["summary"]
    assert counts["done"] == len(files_below(archive.parent / "in-restored")) in (4, 8)
    assert counts["failed"] in (4, 8)


def test_bug_gives_one_line(tmp_path: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save_grey(tmp_path / "in" / "a.jpg")

    def fail(*options: object, **more: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("restore.colorizers.load_engine", fail)
    result = restore_photos(tmp_path / "in")
    assert result.code == 1 and result.err.count("\n") == 1
    assert "report" in result.err and "ZeroDivisionError" in result.err


def test_killed_twenty_times_over_300_files(tmp_path: Path, restore_photos: Run) -> None:
    for i in range(300):
        save_grey(tmp_path / "in" / f"{i % 5}" / f"{i:03}.png", 120, 90, seed=i)
    output, rng = tmp_path / "in-restored", np.random.default_rng(6)
    # The package's model, seen small: it starts five times as soon as a network of PyTorch's.
    options = ["--model", "default", "--size", "64", "--device", "cpu"]
    command = [sys.executable, "-m", "restore", "photos", str(tmp_path / "in"), *options, "--quiet"]
    written: dict[str, int] = {}
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before, until = len(written), time.monotonic() + 60
        # Killed when some more are done, so that on any machine every kill comes in the middle of the work.
        wanted = before + int(rng.integers(1, 12))
        while time.monotonic() < until and process.poll() is None and len(list(output.glob("*/[0-9]*"))) < wanted:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.03)))
        process.kill()
        _, said = process.communicate()
        assert said == ""
        for path in output.glob("*/[0-9]*"):
            stamp = path.stat().st_mtime_ns
            assert written.setdefault(str(path), stamp) == stamp, f"{path} was done twice"
    assert 20 <= len(written) < 300
    result = restore_photos(tmp_path / "in", *options[2:], model="default")
    assert result.code == 0 and result.report["summary"]["skipped"] == len(written)
    assert len(files_below(output)) == 300
    assert not any(Path(name).name.startswith(".") for name in files_below(output))
    for name in files_below(output):
        assert (luma_of(output / name) == luma_of(tmp_path / "in" / name)).all()
    assert all(Path(name).stat().st_mtime_ns == stamp for name, stamp in written.items())
    assert restore_photos(tmp_path / "in", "--verify").code == 0


def test_read_error_on_one_file(archive: Path, restore_photos: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from restore.photos import pipeline

    measure = pipeline.measure

    def fail(path: Path, *more: Any) -> Any:
        if path.name == "07.png":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return measure(path, *more)

    monkeypatch.setattr(pipeline, "measure", fail)
    result = restore_photos(archive)
    assert result.code == 8 and result.report["summary"]["done"] == PHOTOS - 1
    assert "Input/output error" in result.error("07.png")


def test_two_runs_at_once_one_is_refused(archive: Path, tiny_model: Path) -> None:
    first = start(archive, tiny_model)
    command = [sys.executable, "-m", "restore", "photos", str(archive), "--model", str(tiny_model), "--overwrite"]
    first.send_signal(signal.SIGSTOP)  # so that it is still at work, however slow the second is to start
    try:
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 4 and "another run" in second.stderr
    first.communicate(timeout=120)
    assert first.returncode == 0 and len(files_below(archive.parent / "in-restored")) == PHOTOS
