"""`restore video` stopped in the middle: killed, interrupted, out of disk, asked for something else. The same command
goes on, and ends with what an uninterrupted run gives, frame for frame and packet for packet."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from restore.errors import InputError, OutputError
from restore.options import EngineOptions, FilmsOptions, VideoOptions
from restore.video.pipeline import prepare
from tests.conftest import Result
from tests.films import Digest, digest, has_colour, make_film
from tests.pictures import files_below
from tests.runs import FRAMES, SHORT, StopAfter, Work, engine_for, options_for, segments_of

Run = Callable[..., Result]


def test_killed_at_random_moments(
    work: Work, restore_video: Run, uninterrupted: Callable[[dict[str, Any]], Digest], tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1000)
    chance = random.Random(seed)
    for segments in (0, 0, 1, 1, 2):
        process = work.start(segments)
        time.sleep(chance.uniform(0.0, 1.2) if segments < 2 else chance.uniform(0.0, 0.4))
        process.kill()
        process.communicate()
        if work.output.exists():
            break  # it was faster than this test
        kept = work.runtime()
    assert not work.output.exists() or process.returncode == 0
    # What a kill during a write leaves behind: the loop above leaves it by chance only.
    if work.journal.exists():
        (work.journal / f"{len(work.whole()):05d}.part").write_bytes(b"rubbish")
        (work.journal / ".plan.json.restore-4194000-0.part").write_bytes(b"{")
        (work.journal / "film.mp4").write_bytes(b"rubbish")
    result = restore_video(work.film)
    assert result.code == 0, (seed, result.err)
    assert digest(work.output) == uninterrupted(kept), seed
    assert files_below(tmp_path) == {"film.mp4", "film-restored.mp4", "report.json"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_work_that_goes_on(
    work: Work,
    restore_video: Run,
    uninterrupted: Callable[[dict[str, Any]], Digest],
    number: signal.Signals,
    code: int,
    tmp_path: Path,
) -> None:
    process = work.start(1)
    time.sleep(random.uniform(0.0, 0.3))
    process.send_signal(number)
    begin = time.monotonic()
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    assert said.count("\n") == 1 and "again" in said
    assert time.monotonic() - begin < 60
    assert not work.output.exists() and len(work.whole()) in (1, 2)
    assert not list(work.journal.glob("*.json.restore*"))
    kept = work.runtime()
    result = restore_video(work.film)
    assert result.code == 0, result.err
    assert "going on after 480 frames" in result.out or "going on after 960 frames" in result.out
    (record,) = result.report["files"]
    assert record["film"]["resumed_at"] in (480, 960) and record["film"]["frames"] == FRAMES
    assert record["film"]["scenes"] == 16
    assert digest(work.output) == uninterrupted(kept)
    assert files_below(tmp_path) == {"film.mp4", "film-restored.mp4", "report.json"}


def is_used_up(items: Iterator[int]) -> bool:
    return next(items, None) is None


@pytest.mark.parametrize("times", [1, 90, 230, 300])
def test_stopped_at_any_moment(tmp_path: Path, tiny_model: Path, short_segments: int, times: int) -> None:
    """The question whether to stop is answered with yes after so many times, in whatever thread."""
    from restore.video.pipeline import restore_film

    film = make_film(tmp_path / "film.mp4", SHORT)
    engine_options = engine_for(tiny_model)
    whole = restore_film(film, tmp_path / "whole.mp4", VideoOptions(), engine_options)
    assert whole is not None
    runs, result = 0, None
    while result is None:
        # At least a segment further each time, and at last through joining and checking, or it would never end.
        asked = iter(range(times if runs == 0 else max(times, 2 * short_segments + 150) * runs))
        stopping = partial(is_used_up, asked)
        result = restore_film(film, tmp_path / "out.mp4", VideoOptions(), engine_options, stopping=stopping)
        runs += 1
        assert runs < 20
    assert runs > 1
    assert result.frames == SHORT and result.scenes == whole.scenes
    assert digest(result.output) == digest(whole.output)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--smooth", "0.5"], "smooth (0.8, now 0.5)"),
        (["--saturation", "1.5"], "saturation (1.0, now 1.5)"),
        (["--already-color", "recolor"], "already_color (keep, now recolor)"),
        (["--size", "96"], "size (64, now 96)"),
        (["--crf", "30"], "codec's crf (18, now 30)"),
        (["--preset", "ultrafast"], "codec's preset (None, now ultrafast)"),
    ],
)
def test_changed_options_are_named(unfinished: Path, restore_video: Run, arguments: list[str], named: str) -> None:
    result = restore_video(unfinished, *arguments)
    assert result.code == 4 and result.err.count("\n") == 1
    assert named in result.err and "--restart" in result.err
    assert segments_of(unfinished) == 1
    restarted = restore_video(unfinished, *arguments, "--restart")
    assert restarted.code == 0, restarted.err
    assert restarted.report["files"][0]["film"]["resumed_at"] == 0
    assert len(digest(unfinished.with_name("film-restored.mp4")).frames) == SHORT


def test_what_the_model_chooses_anyway_goes_on(unfinished: Path, restore_video: Run) -> None:
    result = restore_video(unfinished, "--size", 64)
    assert result.code == 0, result.err
    assert result.report["files"][0]["film"]["resumed_at"] > 0


def test_dropout_is_part_of_the_plan(unfinished: Path, tiny_model: Path) -> None:
    output = unfinished.with_name("film-restored.mp4")
    with pytest.raises(OutputError, match=r"dropout \(False, now True\)"):
        prepare(unfinished, output, VideoOptions(), EngineOptions(str(tiny_model), dropout=True))


def test_a_style_given_or_left_to_the_model_is_the_same_plan(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 4)
    plans = [
        prepare(film, tmp_path / "out.mp4", VideoOptions(), EngineOptions(style=style)).plan
        for style in (None, "vivid", "natural")
    ]
    assert plans[0] == plans[1] != plans[2]


def test_another_model_or_source_is_named(unfinished: Path, restore_video: Run, tmp_path: Path) -> None:
    import torch

    from restore.checkpoint import CheckpointInfo, save_checkpoint
    from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model

    torch.manual_seed(2)
    config = ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 5}), HeadConfig("regression"), working_size=64)
    save_checkpoint(tmp_path / "other.safetensors", build_model(config), CheckpointInfo("other", "MIT"))
    result = restore_video(unfinished, model=tmp_path / "other.safetensors")
    assert result.code == 4 and "another model" in result.err
    facts = unfinished.stat()
    os.utime(unfinished, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    result = restore_video(unfinished)
    assert result.code == 4 and "another source" in result.err and "--restart" in result.err
    os.utime(unfinished, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    result = restore_video(unfinished)
    assert result.code == 0 and result.report["files"][0]["film"]["resumed_at"] > 0


def test_previews_and_estimates_leave_unfinished_work_alone(unfinished: Path, restore_video: Run) -> None:
    assert restore_video(unfinished, "--preview", 2, "--saturation", 0.5, "--restart").code == 0
    result = restore_video(unfinished, "--dry-run", with_report=False)
    assert result.code == 0 and "154 frames to colour" in result.out
    assert restore_video(unfinished, "--dry-run", "--restart", with_report=False).code == 0
    assert segments_of(unfinished) == 1


def test_a_damaged_journal_is_told(unfinished: Path, restore_video: Run) -> None:
    plan = unfinished.with_name(".film-restored.mp4.restore-work") / "plan.json"
    for content in ("{", "[]", "{}"):
        plan.write_text(content)
        result = restore_video(unfinished)
        assert result.code == 4 and "plan.json is damaged" in result.err and "--restart" in result.err
    assert restore_video(unfinished, "--restart").code == 0


def test_a_segment_cut_short_is_made_again(unfinished: Path, restore_video: Run) -> None:
    folder = unfinished.with_name(".film-restored.mp4.restore-work")
    segment = folder / "00000.mkv"
    segment.write_bytes(segment.read_bytes()[:-10])
    result = restore_video(unfinished)
    assert result.code == 0 and result.report["files"][0]["film"]["resumed_at"] == 0
    assert len(digest(unfinished.with_name("film-restored.mp4")).frames) == SHORT


def test_source_that_vanishes_and_comes_back(
    tmp_path: Path, tiny_model: Path, short_segments: int, restore_video: Run
) -> None:
    from restore.video.films import restore_films

    film = make_film(tmp_path / "film.mp4", SHORT)
    away = tmp_path / "away"
    with pytest.raises(InputError, match=r"film\.mp4 can't be read"):
        restore_films(options_for(film), engine_for(tiny_model), StopAfter(150, lambda: film.rename(away) and None))
    assert segments_of(film) >= 1 and not (tmp_path / "film-restored.mp4").exists()
    gone = restore_video(film)
    assert gone.code == 3 and "does not exist" in gone.err and segments_of(film) >= 1
    away.rename(film)
    result = restore_video(film)
    assert result.code == 0 and result.report["files"][0]["film"]["resumed_at"] > 0
    assert len(digest(tmp_path / "film-restored.mp4").frames) == SHORT


def test_source_that_changes_meanwhile(tmp_path: Path, tiny_model: Path, short_segments: int) -> None:
    from restore.video.films import restore_films

    film = make_film(tmp_path / "film.mp4", SHORT)
    with pytest.raises(InputError, match="has changed meanwhile"):
        restore_films(options_for(film), engine_for(tiny_model), StopAfter(150, lambda: os.utime(film)))
    assert not (tmp_path / "film-restored.mp4").exists()


def test_killed_between_its_name_and_the_end(
    tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore.video.journal import Journal

    film = make_film(tmp_path / "film.mp4", 20)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "clear", lambda self: None)
        assert restore_video(film).code == 0
    folder = tmp_path / ".film-restored.mp4.restore-work"
    assert folder.is_dir()
    assert restore_video(film).status("film.mp4") == "skipped"
    assert not folder.exists()


def test_work_of_an_overwriting_run_outlives_a_skip(unfinished: Path, restore_video: Run) -> None:
    """An older result is there, and newer work that will replace it."""
    output = unfinished.with_name("film-restored.mp4")
    shutil.copy(unfinished, output)
    os.utime(output, (1, 1))
    assert restore_video(unfinished).status("film.mp4") == "skipped"
    assert segments_of(unfinished) == 1
    result = restore_video(unfinished, "--overwrite")
    assert result.code == 0 and result.report["files"][0]["film"]["resumed_at"] > 0
    assert has_colour(output)


def test_a_stop_between_films_keeps_those_that_are_done(tmp_path: Path, tiny_model: Path) -> None:
    from restore.video.films import restore_films

    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_film(tmp_path / "in" / name, 60, sound=False)
    progress = StopAfter(60)
    report = tmp_path / "report.json"
    options = FilmsOptions([tmp_path / "in"], report=report)
    restore_films(options, engine_for(tiny_model), progress, lambda: progress.reached)
    done = [Path(record["path"]).name for record in json.loads(report.read_text())["files"]]
    assert done in ([], ["a.mp4"])
    assert restore_films(options, engine_for(tiny_model)).counts["done"] == 3 - len(done)
    assert files_below(tmp_path / "in-restored") == {"a.mp4", "b.mp4", "c.mp4"}


@pytest.mark.parametrize("share", [0.1, 0.7, 1.3])
def test_full_disk_keeps_the_work(
    tmp_path: Path,
    small_disk: Path,
    restore_video: Run,
    short_segments: int,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    """Room for a part of the segments, or for them but not for the film that they are joined to."""
    # So large that its segments are larger than the records beside them, as they always are in real films.
    film = make_film(tmp_path / "film.mp4", SHORT, width=256, height=192)
    lossless = ("--codec", "libx264", "--crf", 0)
    assert restore_video(film, *lossless).code == 0
    size = (tmp_path / "film-restored.mp4").stat().st_size
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - round(share * size)))
    output = small_disk / "film.mp4"
    refused = restore_video(film, *lossless, "--output", output)
    assert refused.code == 4 and "of disk while it is made" in refused.err
    assert files_below(small_disk) == {"ballast"}
    with monkeypatch.context() as patched:
        # An estimate that is far too low, or a disk that others fill.
        patched.setattr("restore.video.estimate.free_space", lambda folder: 10**12)
        result = restore_video(film, *lossless, "--output", output)
    assert result.code == 4, result.err
    assert result.err.count("\n") == 1 and "disk is full" in result.err and "Free some space" in result.err
    assert not output.exists()
    ballast.unlink()
    again = restore_video(film, *lossless, "--output", output)
    assert again.code == 0, again.err
    assert (again.report["files"][0]["film"]["resumed_at"] > 0) == (share > 0.5)
    assert len(digest(output).frames) == SHORT
    assert files_below(small_disk) == {"film.mp4"}
