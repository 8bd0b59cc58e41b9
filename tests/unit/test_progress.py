"""What is printed is safe to print."""

from __future__ import annotations

import pytest

from restore.progress import BarProgress, LineProgress, QuietProgress, SilentProgress, make_progress, printable


def test_printable_escapes_what_a_terminal_would_obey() -> None:
    assert printable("a\nb\x1b[31m\udce9ü [red]") == "a\\nb\\x1b[31m\\udce9ü [red]"


@pytest.mark.parametrize("progress", [SilentProgress(), QuietProgress(), LineProgress(verbose=True), BarProgress()])
def test_every_kind_lives_through_a_run(
    progress: SilentProgress | BarProgress, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.start(3)
    progress.step("[bold]a.jpg", "done")
    progress.step("b\n.jpg", "failed", "it is broken")
    progress.finish({"done": 1, "failed": 1}, 1.5)
    said = capsys.readouterr()
    assert ("failed: b\\n.jpg: it is broken" in said.err) == (type(progress) is not SilentProgress)
    if isinstance(progress, LineProgress):
        assert said.out.splitlines() == ["done: [bold]a.jpg", "1 done, 1 failed in 1.5 s"]


def test_lines_in_a_pipe_nothing_when_quiet() -> None:
    assert type(make_progress()) is LineProgress
    assert type(make_progress(quiet=True)) is QuietProgress
