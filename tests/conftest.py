"""What the tests share: a small model, pictures made at test time, and the command line in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import browser as browser
from tests.browser import visit as visit

if TYPE_CHECKING:
    from restore.video.pipeline import FilmResult

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network with random weights, which give real chroma."""
    import torch

    from restore.checkpoint import CheckpointInfo, save_checkpoint
    from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model

    torch.manual_seed(1)
    config = ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 5}), HeadConfig("regression"), working_size=64)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, build_model(config), CheckpointInfo("tiny", "MIT"))
    return path


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    def status(self, name: str) -> str:
        """The status of the one file of that name in the report."""
        (status,) = (file["status"] for file in self.report["files"] if Path(file["path"]).name == name)
        return str(status)

    def error(self, name: str) -> str:
        """What the report says went wrong with the one file of that name."""
        (error,) = (file["error"] for file in self.report["files"] if Path(file["path"]).name == name)
        return str(error)


Run = Callable[..., Result]
Restore = Callable[..., "FilmResult"]


@pytest.fixture
def restore_photos(run_command: Callable[[str], Run]) -> Run:
    """`restore photos` in this process, from the arguments to the exit code."""
    return run_command("photos")


@pytest.fixture
def restore_video(run_command: Callable[[str], Run]) -> Run:
    """`restore video`, likewise."""
    return run_command("video")


@pytest.fixture
def run_command(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], Run]]:
    """Commands in this process."""
    from restore.cli import main

    report = tmp_path / "report.json"
    sigterm = signal.getsignal(signal.SIGTERM)

    def runner(name: str) -> Run:
        def run(*arguments: object, model: object = tiny_model, with_report: bool = True) -> Result:
            report.unlink(missing_ok=True)
            command = ["restore", name, *map(str, arguments), "--model", str(model)]
            monkeypatch.setattr(sys, "argv", [*command, "--report", str(report)] if with_report else command)
            with pytest.raises(SystemExit) as ended:
                main()
            code = ended.value.code
            said = capsys.readouterr()
            content = json.loads(report.read_text()) if report.exists() else {}
            return Result(int(code or 0), said.out, said.err, content)

        return run

    yield runner
    signal.signal(signal.SIGTERM, sigterm)


@pytest.fixture
def restore(tiny_model: Path) -> Restore:
    """One film by way of the library, with `VideoOptions` as keywords."""
    from restore.options import EngineOptions, VideoOptions
    from restore.video.pipeline import restore_film

    def run(source: Path, output: Path, **options: Any) -> FilmResult:
        result = restore_film(
            source, output, VideoOptions(**options), EngineOptions(model=str(tiny_model), device="cpu")
        )
        assert result is not None
        return result

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can't be mounted here")  # it takes root: an ordinary user's run goes without
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
