"""Models that guess ab, and the engine that runs them. PyTorch is imported only by what needs it."""

from __future__ import annotations

from restore.colorizers.base import ColorModel
from restore.colorizers.engine import Engine
from restore.colorizers.loading import KeptEngines, LoadEngine, load_engine

__all__ = ["ColorModel", "Engine", "KeptEngines", "LoadEngine", "load_engine"]
