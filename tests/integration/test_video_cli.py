"""`restore video`: many films, what it says before and after, stills, and what each kind of error ends with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips import Clip, make_clip
from tests.conftest import Result
from tests.films import digest, has_colour, make_film
from tests.pictures import files_below

Run = Callable[..., Result]


def test_a_film_lands_beside_its_original(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mp4")
    before = film.read_bytes()
    result = restore_video(film)
    assert result.code == 0, result.err
    output = tmp_path / "film-restored.mp4"
    assert has_colour(output) and not has_colour(film)
    assert [time for time, _ in digest(output).frames] == [time for time, _ in digest(film).frames]
    assert digest(output).others == digest(film).others
    assert film.read_bytes() == before
    assert files_below(tmp_path) == {"film-restored.mp4", "film.mp4", "report.json"}


def test_report_tells_what_was_done_and_checked(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mkv", 100, scene=40)
    result = restore_video(film, "--output", tmp_path / "out" / "result.mkv")
    (record,) = result.report["files"]
    assert record["status"] == "done" and record["model"] == "tiny"
    assert (record["width"], record["height"]) == (128, 96)
    assert record["output"] == str(tmp_path / "out" / "result.mkv")
    facts = record["film"]
    assert facts["frames"] == facts["checked"]["frames_and_pts"] == 100
    assert facts["scenes"] == 3
    assert facts["checked"]["streams"] == 2 and facts["checked"]["copied_packets"] > 10
    assert facts["fps"] > 0 and facts["resumed_at"] == 0
    assert facts["losses"]["packets"] == 0
    assert facts["codec"]["name"] == "libx264" and facts["device"] == "cpu" and facts["dtype"]
    assert result.report["model"]["name"] == "tiny" and len(result.report["model"]["sha256"]) == 64
    assert result.report["summary"]["done"] == 1


def test_a_folder_becomes_a_tree_of_the_same_shape(tmp_path: Path, restore_video: Run) -> None:
    folder = tmp_path / "in"
    make_film(folder / "a.mp4", 20)
    make_film(folder / "deep" / "er" / "b.mkv", 20, sound=False)
    make_film(folder / "deep" / "c.avi", 20, sound=False)
    make_film(folder / "deep" / "d.ts", 20)
    (folder / "code.ts").write_text("export const x = 1\n" * 20)
    (folder / "notes.txt").write_text("notes")
    make_film(folder / ".hidden" / "h.mp4", 5)
    result = restore_video(folder)
    assert result.code == 0, result.err
    assert files_below(tmp_path / "in-restored") == {"a.mp4", "deep/c.mkv", "deep/d.mkv", "deep/er/b.mkv"}
    assert result.report["summary"] | {"seconds": 0} == {"done": 4, "kept": 0, "skipped": 2, "failed": 0, "seconds": 0}
    assert result.status("notes.txt") == result.status("code.ts") == "skipped"


def test_include_exclude_and_no_recursion(tmp_path: Path, restore_video: Run) -> None:
    for name in ("a.mp4", "b.mp4", "b.mkv", "sub/c.mp4"):
        make_film(tmp_path / "in" / name, 5, sound=False)
    result = restore_video(tmp_path / "in", "--no-recursive", "--include", "*.mp4", "--exclude", "a*")
    assert result.code == 0
    assert files_below(tmp_path / "in-restored") == {"b.mp4"}


def test_several_inputs_go_into_one_folder(tmp_path: Path, restore_video: Run) -> None:
    films = [make_film(tmp_path / name, 5, sound=False) for name in ("x/a.mp4", "y/a.mp4", "in/b.mp4")]
    result = restore_video(films[0], films[1], films[2].parent, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert files_below(tmp_path / "out") == {"a.mp4", "a.mp4.mp4", "in/b.mp4"}


def test_what_is_done_is_skipped_unless_overwritten(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mp4", 20)
    assert restore_video(film).code == 0
    output = tmp_path / "film-restored.mp4"
    first = output.stat().st_mtime_ns
    again = restore_video(film)
    assert again.code == 0 and again.status("film.mp4") == "skipped" and output.stat().st_mtime_ns == first
    assert "film-restored.mp4 is there already; --overwrite makes it again" in again.out
    assert restore_video(film, "--overwrite", "--saturation", "0").code == 0
    assert output.stat().st_mtime_ns > first and not has_colour(output)


def test_a_broken_film_does_not_stop_the_others(tmp_path: Path, restore_video: Run) -> None:
    make_film(tmp_path / "in" / "a.mp4", 10)
    (tmp_path / "in" / "b.mp4").write_bytes(b"no film at all, by no means" * 50)
    (tmp_path / "in" / "c.mkv").touch()
    make_film(tmp_path / "in" / "d.mp4", 10)
    result = restore_video(tmp_path / "in")
    assert result.code == 8
    assert files_below(tmp_path / "in-restored") == {"a.mp4", "d.mp4"}
    assert "b.mp4 is not a film" in result.error("b.mp4") and "empty" in result.error("c.mkv")
    assert "2 of 4 films could not be coloured" in result.err
    assert result.err.count("b.mp4") == 1


def test_a_single_broken_film_ends_with_its_own_code(tmp_path: Path, restore_video: Run) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no film at all, by no means" * 50)
    result = restore_video(tmp_path / "film.mp4")
    assert result.code == 3 and result.err.count("\n") == 1 and "film.mp4 is not a film" in result.err
    assert result.status("film.mp4") == "failed"
    (tmp_path / "text.txt").write_text("text")
    result = restore_video(tmp_path / "text.txt")
    assert result.code == 3 and "text.txt" in result.err


def test_nothing_found_is_an_error(tmp_path: Path, restore_video: Run) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").touch()
    result = restore_video(tmp_path / "in")
    assert result.code == 3 and "no films were found" in result.err
    assert restore_video(tmp_path / "nowhere.mp4").code == 3


def test_places_that_are_refused(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "in" / "film.mp4", 5, sound=False)
    before = film.read_bytes()
    for arguments in (
        (film, "--output", film),
        (film, "--output", film, "--overwrite"),
        (film.parent, "--output", film.parent / "out"),
        (film.parent, "--output", tmp_path),
        (film, "--output", tmp_path / "film.avi"),
        (film, "--output", "/proc/out.mp4"),
    ):
        result = restore_video(*arguments)
        assert result.code == 4, (arguments, result.err)
        assert result.err.count("\n") == 1
    assert restore_video(film.parent, "--output", tmp_path / "out.mp4").code == 2
    assert film.read_bytes() == before
    assert files_below(tmp_path) - {"report.json"} == {"in/film.mp4"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--smooth", "2"], 2),
        (["--saturation", "-1"], 2),
        (["--already-color", "skip"], 2),
        (["--preview", "0"], 2),
        (["--preview", "3", "--dry-run"], 2),
        (["--quiet", "--verbose"], 2),
        (["--codec", "nonsense"], 2),
        (["--codec", "ffv1", "--crf", "3"], 2),
        (["--codec", "libx264", "--pix-fmt", "rgb24"], 2),
        (["--size", "70"], 2),
        (["--model", "no-such-model"], 6),
        (["--device", "cuda:99"], 7),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, restore_video: Run, arguments: list[str], code: int) -> None:
    film = make_film(tmp_path / "film.mp4", 5, sound=False)
    given = {"model": arguments[1]} if arguments[0] == "--model" else {}
    result = restore_video(film, *([] if given else arguments), with_report=False, **given)
    assert result.code == code, result.err
    assert files_below(tmp_path) == {"film.mp4"}


def test_estimate_comes_before_the_work_and_alone_in_a_dry_run(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mp4", 400)
    result = restore_video(film, "--dry-run", with_report=False)
    assert result.code == 0, result.err
    (line,) = result.out.splitlines()
    assert "film-restored.mp4: 400 frames to colour in about" in line and "of disk needed" in line
    assert files_below(tmp_path) == {"film.mp4"}
    result = restore_video(film)
    assert result.out.splitlines()[0].startswith(line.partition("about")[0])
    assert "400 frames in 6 scenes" in result.out and "fps" in result.out


def test_estimated_size_is_near_the_real_one(tmp_path: Path, tiny_model: Path) -> None:
    from restore.colorizers import load_engine
    from restore.options import EngineOptions, VideoOptions
    from restore.video.estimate import estimate
    from restore.video.pipeline import prepare, run

    film = make_film(tmp_path / "film.mp4", 700)
    engine_options = EngineOptions(str(tiny_model), "cpu")
    job = prepare(film, tmp_path / "out.mp4", VideoOptions(), engine_options)
    engine = load_engine(engine_options)
    expected = estimate(job, engine)
    assert expected.frames == 700 and expected.seconds is not None and expected.size is not None
    assert not list(tmp_path.glob(".*"))
    result = run(job, engine, lambda done, total, scene: None, lambda: False)
    assert result is not None
    real = result.output.stat().st_size
    assert 0.4 * real < expected.size < 2.5 * real
    # Wide, as others may use the machine in between.
    assert 0.05 * result.seconds < expected.seconds < 20 * result.seconds
    assert expected.needed is not None and expected.size < expected.needed <= 2 * expected.size


def test_a_disk_too_small_is_told_before_the_work(
    tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "film.mp4", 60)
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 900, 900))
    for arguments in ((film,), (film, "--dry-run")):
        result = restore_video(*arguments, with_report=False)
        assert result.code == 4
        assert "film-restored.mp4 needs about" in result.err and "900 bytes are free" in result.err
    assert files_below(tmp_path) == {"film.mp4"}


def test_a_part_of_a_film(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mkv", 200)
    result = restore_video(film, "--start", "0:02", "--duration", "1.5")
    assert result.code == 0, result.err
    whole, part = digest(film).frames, digest(tmp_path / "film-restored.mkv").frames
    assert len(part) == sum(2 <= time < 3.5 for time, _ in whole)
    (record,) = result.report["files"]
    assert record["film"]["frames"] == len(part)
    for time in ("nonsense", "-3", "1:x"):
        assert restore_video(film, "--start", time).code == 2
    assert restore_video(film, "--start", "100", "--overwrite").code == 3


def test_preview_shows_stills_over_the_whole_film(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "film.mp4", 350, scene=70)  # five scenes of five brightnesses
    result = restore_video(film, "--preview", 5)
    assert result.code == 0, result.err
    assert files_below(tmp_path) == {"film-restored-preview.png", "film.mp4", "report.json"}
    with Image.open(tmp_path / "film-restored-preview.png") as sheet:
        picture = np.asarray(sheet.convert("RGB")).astype(int)
    rows = _rows(picture)
    assert len(rows) == 5
    grey = [before.mean() for before, _ in rows]
    assert min(abs(one - other) for i, one in enumerate(grey) for other in grey[:i]) > 3  # no still twice
    for before, after in rows:
        assert np.ptp(before, axis=2).max() == 0
        assert np.ptp(after, axis=2).max() > 5
        assert abs(before.mean() - after.mean()) < 12


def _rows(picture: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Before and after of each row of a sheet: blocks of what is no paper, below the labels."""
    inked = (picture < 250).any(axis=2)
    inked[:24] = False
    edges = np.flatnonzero(np.diff(np.concatenate(([0], inked.any(axis=1).astype(int), [0]))))
    middle = picture.shape[1] // 2
    found = []
    for top, bottom in zip(edges[::2], edges[1::2], strict=True):
        halves = []
        for half in (slice(0, middle), slice(middle, None)):
            across = np.flatnonzero(inked[top:bottom, half].any(axis=0))
            halves.append(picture[top:bottom, half][:, across[0] : across[-1] + 1])
        found.append((halves[0], halves[1]))
    return found


def test_preview_of_films_that_are_done_already(tmp_path: Path, restore_video: Run) -> None:
    film = make_film(tmp_path / "in" / "film.mp4", 20)
    assert restore_video(film.parent).code == 0
    assert restore_video(film.parent, "--preview", 2, "--saturation", "0.5").code == 0
    assert files_below(tmp_path / "in-restored") == {"film-preview.png", "film.mp4"}


def test_the_model_is_loaded_once(tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from restore.video import films

    load, loaded = films.load_film_engine, []
    monkeypatch.setattr(films, "load_film_engine", lambda *given: loaded.append(given) or load(*given))
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_film(tmp_path / "in" / name, 5, sound=False)
    assert restore_video(tmp_path / "in").report["summary"]["done"] == 3
    assert len(loaded) == 1
    assert restore_video(tmp_path / "in").code == 0
    assert len(loaded) == 1  # all is done: nothing to load it for


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_failed_check_has_its_own_code(
    tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A packet lost on the way into the result does not pass; the work is kept."""
    from restore.video import pipeline

    film = make_film(tmp_path / "film.mkv", 60)
    whole = pipeline.assemble

    def lose_one(target: Path, *rest: Any) -> None:
        whole(target, *rest)
        copy = target.with_name("copy.mkv")
        with av.open(str(target)) as source, av.open(str(copy), "w") as out:
            streams = [out.add_stream_from_template(stream) for stream in source.streams]
            for number, packet in enumerate(source.demux()):
                if packet.size and not (packet.stream.type == kind and 30 <= number < 35):
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
        copy.replace(target)

    monkeypatch.setattr(pipeline, "assemble", lose_one)
    result = restore_video(film)
    assert result.code == 9, result.err
    assert result.err.count("\n") == 1 and "failed its check" in result.err
    assert not (tmp_path / "film-restored.mkv").exists()
    assert (tmp_path / ".film-restored.mkv.restore-work").is_dir()


def test_a_size_that_changes_late_is_told_before_the_work(
    tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore.video import pipeline

    small = make_clip(tmp_path / "a.ts", Clip(times=range(600), options={"g": "25"}))
    large = make_clip(tmp_path / "b.ts", Clip(times=range(600, 640), columns=96, options={"g": "25"}))
    source = tmp_path / "in.ts"
    source.write_bytes(small.read_bytes() + large.read_bytes())
    begun: list[int] = []
    right = pipeline.encode_segment
    monkeypatch.setattr(pipeline, "encode_segment", lambda *arguments: begun.append(1) or right(*arguments))
    result = restore_video(source)
    assert result.code == 3 and result.err.count("\n") == 1 and not begun
    assert "changes its size from 64×48 to 96×48 by 2" in result.err and "--duration" in result.err
    assert not (tmp_path / ".in-restored.mkv.restore-work").exists()
    assert restore_video(source, "--duration", 23).code == 0 and begun


def test_encoders_keep_quiet(tmp_path: Path, restore: Any, capfd: pytest.CaptureFixture[str]) -> None:
    source = make_clip(tmp_path / "in.mkv", Clip(columns=128, rows=96))
    for codec in ("libsvtav1", "libx265", "libx264"):
        restore(source, tmp_path / f"{codec}.mkv", codec=codec)
        said = capfd.readouterr()
        assert (said.out, said.err) == ("", ""), codec


def test_progress_in_a_pipe_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from restore.progress import duration, size
    from restore.video.progress import LineFilms, position

    progress = LineFilms(every=0.0)
    progress.begin("a.mp4", 480)
    progress.frame(500, 1000, 3)
    progress.step("a.mp4", "done", "b.mp4")
    progress.finish({"done": 1, "failed": 0}, 3.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a.mp4: going on after 480 frames"
    assert lines[1].startswith("a.mp4: 500 of 1,000 frames, ") and "fps, scene 3, " in lines[1]
    assert lines[2:] == ["done: a.mp4 (b.mp4)", "1 done in 3.0 s"]
    assert position(1_200, 150_000, 14, 24.5) == "1,200 of 150,000 frames, 24.5 fps, scene 14, 1 h 41 min left"
    assert position(5, None, 1, 2.0) == "5 frames, 2.0 fps, scene 1"
    assert (duration(75), duration(45.4), size(999), size(1_250_000)) == ("1 min 15 s", "45 s", "999 bytes", "1.2 MB")


def test_progress_on_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    from restore.video.progress import BarFilms

    progress = BarFilms()
    progress.begin("a [1].mp4", 0)
    progress.frame(500, 1000, 3)
    progress.step("a [1].mp4", "failed", "why")
    progress.finish({"failed": 1}, 1.0)
    said = capsys.readouterr()
    assert "500 of 1,000 frames" in said.out and "a [1].mp4" in said.out and "why" in said.err
