"""The command line answers quickly: help and version import nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "torchvision",
    "onnxruntime",
    "onnx",
    "numpy",
    "cv2",
    "av",
    "PIL",
    "skimage",
    "safetensors",
    "tifffile",
    "imagecodecs",
    "starlette",
    "uvicorn",
    "train.recipes",
)
COMMANDS = [
    *("--help", "--version", "photos --help", "video --help", "eval --help", "eval photos --help", "train --help"),
    *("runs --help", "serve --help"),
    *("models --help", "models info --help", "models export --help"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    script = (
        "import sys\nfrom restore.cli import main\n"
        f"sys.argv = ['restore', *{command.split()!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    code = ended.code\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], code or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY [] 0"
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_in_half_a_second(command: str) -> None:
    """In processor time, which is what it takes where nothing else runs; beside other tests it waits for its turn."""
    times = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "restore", *command.split()], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        times.append(usage.ru_utime + usage.ru_stime)
    assert min(times) < 0.5


def test_usage_errors_exit_with_2() -> None:
    for command in (["photos"], ["photos", "x", "--format", "gif"], ["nonsense"], ["photos", "x", "--quality", "0"]):
        done = subprocess.run([sys.executable, "-m", "restore", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2, command
        assert "Traceback" not in done.stderr
