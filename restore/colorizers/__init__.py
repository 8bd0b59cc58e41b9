"""Models that guess ab, and the engine that runs them."""

from __future__ import annotations

from restore.colorizers.base import ColorModel
from restore.colorizers.engine import Engine
from restore.colorizers.network import NetworkColorModel
from restore.model_files import find_checkpoint
from restore.options import EngineOptions, Style

__all__ = ["ColorModel", "Engine", "NetworkColorModel", "load_engine"]


def load_engine(options: EngineOptions, callers: int = 1, preferred: Style | None = None) -> Engine:
    """The engine for a model given by name, file or run folder.

    Args:
        callers: see `Engine`.
        preferred: style, where the options name none and the model has styles.

    Raises:
        ModelError: no such model, or a damaged one.
        DeviceError: the device is not there.
        UsageError: a style or a working size that the model can't take.
    """
    model = NetworkColorModel.from_file(find_checkpoint(options.model), options.style, preferred)
    return Engine(model, options, callers)
