"""Several runs of `restore video` on one film, and runs that are stopped after the last frame."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restore.options import EngineOptions, VideoOptions
from tests.conftest import Result
from tests.films import Digest, digest, make_film
from tests.pictures import files_below
from tests.runs import FRAMES, SHORT, StopAfter, Work, engine_for, segments_of

Run = Callable[..., Result]


def test_two_runs_on_one_film(
    work: Work, restore_video: Run, uninterrupted: Callable[[dict[str, Any]], Digest], tmp_path: Path
) -> None:
    """The second is refused, as long as the first lives and no longer, and harms nothing."""
    first = work.start(1)
    for arguments in ((), ("--restart",), ("--overwrite",)):
        refused = restore_video(work.film, *arguments)
        assert refused.code == 4 and refused.err.count("\n") == 1, refused.err
        assert "film-restored.mp4 is being made by another run" in refused.err
    assert restore_video(work.film, "--dry-run", with_report=False).code == 0
    assert first.poll() is None, "it ended before the others were refused"
    first.kill()
    first.communicate()
    assert (work.journal / "lock").exists() and len(work.whole()) >= 1
    kept = work.runtime()
    result = restore_video(work.film)
    assert result.code == 0, result.err
    assert result.report["files"][0]["film"]["resumed_at"] >= 480
    assert digest(work.output) == uninterrupted(kept)
    assert files_below(tmp_path) == {"film.mp4", "film-restored.mp4", "report.json"}


def test_two_runs_at_the_same_moment(work: Work, tmp_path: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(work.command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    said = [process.communicate(timeout=240)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 4], said
    assert "another run" in "".join(said) and "".join(said).count("\n") == 1
    assert len(digest(work.output).frames) == FRAMES
    assert files_below(tmp_path) == {"film.mp4", "film-restored.mp4"}


def test_another_run_between_looking_and_beginning(unfinished: Path, tiny_model: Path) -> None:
    from restore.errors import OutputError
    from restore.video.pipeline import load_film_engine, prepare, restore_film, run

    output = unfinished.with_name("film-restored.mp4")
    engine_options = EngineOptions(str(tiny_model))
    job = prepare(unfinished, output, VideoOptions(), engine_options)
    progress = StopAfter(SHORT - 20)
    assert (
        restore_film(unfinished, output, VideoOptions(), engine_options, progress.frame, lambda: progress.reached)
        is None
    )
    before = segments_of(unfinished)
    assert before > len(job.done)
    with pytest.raises(OutputError, match="another run has worked on"):
        run(job, load_film_engine(job.engine_options), lambda *_: None, lambda: False)
    assert segments_of(unfinished) == before


def test_a_refused_run_leaves_no_folder(tmp_path: Path, tiny_model: Path) -> None:
    """Even where it had the lock already."""
    from restore.video.journal import Journal

    journal = Journal(tmp_path / "out.mp4")
    with pytest.raises(ZeroDivisionError), journal.locked():
        assert journal.folder.is_dir()
        raise ZeroDivisionError
    assert files_below(tmp_path) == set() and not journal.folder.exists()


@pytest.mark.parametrize("stage", ["assemble", "check", "check_luma"])
def test_a_stop_while_the_film_is_joined_or_checked(
    tmp_path: Path, tiny_model: Path, short_segments: int, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Within a few packets, and the next run has nothing left to colour."""
    from restore.video import pipeline
    from restore.video.pipeline import restore_film

    film = make_film(tmp_path / "film.mkv", SHORT)
    output, options = tmp_path / "out.mkv", VideoOptions(codec="libx264", crf=0)
    asked = 0
    begun = False
    right = getattr(pipeline, stage)

    def noted(*arguments: Any, **named: Any) -> Any:
        nonlocal begun
        begun = True
        return right(*arguments, **named)

    def stopping() -> bool:
        nonlocal asked
        asked += begun
        return asked > 20

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, stage, noted)
        assert restore_film(film, output, options, engine_for(tiny_model), stopping=stopping) is None
    assert begun and asked == 21
    assert not output.exists()
    result = restore_film(film, output, options, engine_for(tiny_model))
    assert result is not None and result.resumed_at == result.frames == SHORT
    assert result.proof.luma
    assert files_below(tmp_path) == {"film.mkv", "out.mkv"}
