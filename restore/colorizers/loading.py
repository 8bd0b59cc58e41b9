"""From a model's name to an engine: which file, and which runtime."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from restore.colorizers.base import ColorModel
from restore.colorizers.devices import computes_on_cpu, has_amx
from restore.colorizers.engine import Engine
from restore.colorizers.onnx_model import SUFFIX, OnnxColorModel
from restore.errors import ModelError, UsageError
from restore.model_files import COMMUNITY_SUFFIXES, find_checkpoint, sha256
from restore.options import EngineOptions


def load_engine(options: EngineOptions, callers: int = 1, *, long_work: bool = False) -> Engine:
    """The engine for a model given by name, file or run folder.

    Args:
        callers: see `Engine`.
        long_work: so many pictures are to come that the time to start counts for nothing.

    Raises:
        ModelError: no such model, or a damaged one.
        DeviceError: the device is not there.
        UsageError: a style or a working size that the model can't take, or dropout that it has not.
        MissingDependencyError: an ONNX model, and ONNX Runtime is not installed; a community checkpoint, and spandrel
            is not.
    """
    return Engine(_load_model(options, long_work), options, callers)


class LoadEngine(Protocol):
    """What `load_engine` is, and what programs that go on for long give in its place."""

    def __call__(self, options: EngineOptions, callers: int = 1, *, long_work: bool = False) -> Engine: ...


class KeptEngines:
    """`load_engine` for programs that go on for long, such as the page: the engines used last stay loaded.

    Args:
        most: engines that are kept.
    """

    def __init__(self, most: int = 3) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._engines: dict[tuple[EngineOptions, int, bool], Engine] = {}

    def __call__(self, options: EngineOptions, callers: int = 1, *, long_work: bool = False) -> Engine:
        """As `load_engine`. From several threads at a time."""
        key = (options, callers, long_work)
        with self._lock:
            engine = self._engines.pop(key, None) or load_engine(options, callers, long_work=long_work)
            self._engines[key] = engine  # the last is the one used last
            while len(self._engines) > self._most:
                del self._engines[next(iter(self._engines))]
        return engine


def _load_model(options: EngineOptions, long_work: bool) -> ColorModel:
    path = find_checkpoint(options.model)
    if path.suffix.lower() == SUFFIX:
        if options.dropout:
            raise UsageError(f"--dropout: {path} was exported without it", "Give the checkpoint it was made from")
        exported = OnnxColorModel(path)
        exported.choose_style(options.style)
        return exported
    if path.suffix.lower() in COMMUNITY_SUFFIXES:
        if options.dropout:
            raise UsageError(f"--dropout: {path} has none", "Give a GAN's checkpoint of restore train")
        from restore.colorizers.community import CommunityColorModel

        return CommunityColorModel(path, options.style)
    if options.runtime != "torch" and (options.runtime or _prefers_onnx(options, long_work)):
        twin = find_twin(path)
        if twin is not None:
            twin.choose_style(options.style)
            return twin
        if options.runtime:
            raise ModelError(
                f"{path} was used by ONNX Runtime before, and has no current {path.stem}{SUFFIX} beside it now",
                "Export it again with `restore models export`, or begin anew",
            )
    from restore.colorizers.network import NetworkColorModel

    return NetworkColorModel.from_file(path, options.style, options.dropout)


def _prefers_onnx(options: EngineOptions, long_work: bool) -> bool:
    """Told by the machine alone, never by timing: the same picture comes out the same each time."""
    if options.dropout or options.dtype not in (None, OnnxColorModel.dtype) or not computes_on_cpu(options.device):
        return False
    return not (long_work and has_amx()) and find_spec("onnxruntime") is not None


def find_twin(path: Path) -> OnnxColorModel | None:
    """The exported form beside a checkpoint, known by its digest; None where there is none, or one of other weights."""
    twin = path.with_suffix(SUFFIX)
    if not twin.is_file():
        return None
    try:
        model = OnnxColorModel(twin)
    except ModelError:
        return None  # the checkpoint is what was asked for
    digest = sha256(path)
    if model.info.source_sha256 != digest:
        return None
    model.sha256 = digest
    return model
