"""Print the path of the newest other CPython on this machine.

It is of 3.12 or later, and of another minor version than the one that runs this; nothing is printed where there is
none. Pythons are looked for in pyenv's folder and by their names on PATH, and asked: a name alone may be a shim that
runs nothing, a preview, or a Python that can't make virtual environments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 12)
ASKED = "import sys, venv, ensurepip, json; print(json.dumps([sys.implementation.name, *sys.version_info]))"


def candidates() -> list[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [str(path) for path in pyenv.glob("versions/*/bin/python3")]
    return found + [path for minor in range(OLDEST[1], 40) if (path := shutil.which(f"python3.{minor}"))]


def version(python: str) -> tuple[int, int, int] | None:
    """None for what is no released CPython that can make virtual environments."""
    asked = subprocess.run([python, "-c", ASKED], capture_output=True, text=True, check=False)
    if asked.returncode:
        return None
    name, major, minor, micro, level, _ = json.loads(asked.stdout)
    return (major, minor, micro) if (name, level) == ("cpython", "final") else None


def main() -> None:
    known = {python: found for python in candidates() if (found := version(python))}
    others = [
        (found, python) for python, found in known.items() if found >= OLDEST and found[:2] != sys.version_info[:2]
    ]
    if others:
        sys.stdout.write(max(others)[1] + "\n")


main()
