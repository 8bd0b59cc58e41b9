"""What a model chooses where the options leave it open, told by its file without loading it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from restore.colorizers.base import VIVIDNESS
from restore.colorizers.onnx_model import SUFFIX, OnnxColorModel
from restore.errors import RestoreError
from restore.options import DEFAULT_STYLE, EngineOptions, Style


def with_own_choices(options: EngineOptions, path: Path) -> EngineOptions:
    """The options with the style and the size that they leave to the model filled in, so that options which mean the
    same are equal. What the file does not tell stays open: what is wrong with it is said when it is loaded.

    Args:
        path: of the model, as `find_checkpoint` gives it.
    """
    if options.style is not None and options.size is not None:
        return options
    try:
        style, size = _choices(path, path.stat().st_mtime_ns)
    except (RestoreError, SafetensorError, OSError, ValueError, KeyError, TypeError):
        return options
    return replace(options, style=options.style or style, size=options.size or size)


@lru_cache(maxsize=8)  # the page asks for each photo, and to open an exported model takes a tenth of a second
def _choices(path: Path, mtime_ns: int) -> tuple[Style | None, int]:
    return _of_exported(path) if path.suffix.lower() == SUFFIX else _of_checkpoint(path)


def _of_exported(path: Path) -> tuple[Style | None, int]:
    info = OnnxColorModel(path).info
    if info.decodings is not None:
        return DEFAULT_STYLE, info.working_size
    return _named(info.vividness) if info.has_styles else None, info.working_size


def _of_checkpoint(path: Path) -> tuple[Style | None, int]:
    with safe_open(path, framework="np") as file:
        config: dict[str, Any] = json.loads((file.metadata() or {})["config"])
    head, size = config["head"], int(config["working_size"])
    if head["kind"] != "classes":
        return None, size
    return DEFAULT_STYLE if head.get("decodings") is not None else _named(head.get("vividness")), size


def _named(vividness: float | None) -> Style | None:
    """The style that is as vivid; None for a model whose own look has no name."""
    return next((style for style, value in VIVIDNESS.items() if value == vividness), None)
