"""Finding a model's file, without reading it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from restore.errors import ModelError

COMMUNITY_SUFFIXES = (".pth", ".pt")
WEIGHTS_DIR = Path(__file__).parent / "weights"


def find_checkpoint(name: str) -> Path:
    """The file of a model given by name (`default`), by path, or by the folder of a training run (best, else last).

    Raises:
        ModelError: no such model.
    """
    shipped = WEIGHTS_DIR / f"{name}.safetensors"
    if Path(name).name == name and shipped.is_file():
        return shipped
    path = Path(name).expanduser()
    if path.is_dir():
        for candidate in ("best.safetensors", "last.safetensors"):
            if (path / candidate).is_file():
                return path / candidate
        raise ModelError(f"folder {path} holds no best.safetensors or last.safetensors", "Give the folder of a run")
    if path.is_file():
        return path
    known = ", ".join(file.stem for file in shipped_models()) or "none"
    raise ModelError(
        f"no model named {name!r}, and no such file",
        f"Known names: {known}; or give a .safetensors, .onnx or .pth file",
    )


def shipped_models() -> list[Path]:
    """The checkpoints in the package; their stems are the names of the models."""
    return sorted(WEIGHTS_DIR.glob("*.safetensors"))


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
