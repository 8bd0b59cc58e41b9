"""Community checkpoints as a `ColorModel`: DDColor (Kang et al. 2023, arXiv:2212.11613), by way of spandrel."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from restore.colorizers.base import Classes, FloatArray, choose_vividness
from restore.colorizers.devices import find_device
from restore.errors import MissingDependencyError, ModelError
from restore.model_files import sha256
from restore.options import Era, Runtime, Style

LICENCE = "unknown: the file does not say; ask those who published it"
_ARCHITECTURE = "DDColor"
# What models are for that are no colorizers, by spandrel's word for it.
_PURPOSES = {"SR": "an upscaler", "FaceSR": "a restorer of faces", "Inpainting": "an inpainter"}
_ACCEPTED = "Give a checkpoint of DDColor, or a .safetensors or .onnx file of restore"


class CommunityColorModel:
    """A published DDColor, tiny or large, ready to colour."""

    runtime: Runtime = "torch"
    classes: Classes | None = None
    takes_hints = knows_eras = False
    size_multiple = 32

    def __init__(self, path: Path, style: Style | None = None) -> None:
        """Load a checkpoint; nothing that a file holds is executed.

        Raises:
            ModelError: missing, damaged, with code in it, or no colorizer.
            MissingDependencyError: spandrel is not installed.
            UsageError: a style, which it has not.
        """
        self.name = path.stem
        choose_vividness(self.name, None, False, style)
        descriptor = _load(path)
        self.sha256 = sha256(path)
        self.tags = tuple(descriptor.tags)
        self._model = descriptor.model.eval().requires_grad_(False)
        self.working_size = int(self._model.input_size[0])
        self._device, self._dtype = torch.device("cpu"), torch.float32
        # Its encoder leaves features on itself for its decoder: two calls at a time would take each other's.
        self._turn = threading.Lock()

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def dtype(self) -> str:
        return str(self._dtype).removeprefix("torch.")

    def prepare(self, device: str, dtype: str | None = None, threads: int | None = None) -> None:
        # As calls take turns, each has all processors, whatever `threads` says. In float32, unless told otherwise: what
        # 16 bits do to foreign weights has not been measured.
        self._device = find_device(device)
        self._dtype = getattr(torch, dtype) if dtype else torch.float32
        self._model.to(self._device, self._dtype)

    def predict(
        self,
        luma: FloatArray,
        doubt: bool = False,
        hints: FloatArray | None = None,
        eras: Sequence[Era] | None = None,
    ) -> FloatArray:
        assert not doubt and hints is None
        with self._turn, torch.inference_mode():
            # It was trained on grey RGB, the L of Lab with ab of zero turned back: that is the luma, thrice.
            grey = torch.from_numpy(luma)[:, None].expand(-1, 3, -1, -1).to(self._device, self._dtype)
            return self._model(grey).float().cpu().numpy()

    def distribution(
        self, luma: FloatArray, hints: FloatArray | None = None, eras: Sequence[Era] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        raise AssertionError("asked for only where there are classes")


def _load(path: Path) -> Any:
    """spandrel's description of a DDColor, with its network.

    Raises:
        ModelError, MissingDependencyError: as `CommunityColorModel`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what PyTorch means to leave off
            from spandrel import MAIN_REGISTRY, UnsupportedModelError
            from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs {error.name or 'spandrel'}, which is not installed",
            "Run: pip install 'restore-color[community]'",
        ) from error
    state = _read(path)
    registry = MAIN_REGISTRY.copy()
    registry.add(*EXTRA_REGISTRY)
    try:
        descriptor = registry.load(state)
    except UnsupportedModelError as error:
        raise ModelError(f"{path} holds weights of a network that is not known", _ACCEPTED) from error
    except Exception as error:  # of a network that fits by its names alone, anything
        raise ModelError(f"{path} does not fit its network: {_first_line(error)}", _ACCEPTED) from error
    found = str(descriptor.architecture.id)
    if found != _ARCHITECTURE:
        purpose = _PURPOSES.get(descriptor.purpose, "a restorer")
        raise ModelError(f"{path} is {purpose} ({found}), not a colorizer", _ACCEPTED)
    channels = descriptor.model.num_output_channels
    if channels != 2:
        raise ModelError(f"{path} is a {found} that gives {channels} channels instead of a and b", _ACCEPTED)
    return descriptor


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a pickled checkpoint, without running what it holds."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ModelError(f"model {path} can't be read: {error.strerror or error}") from error
    try:
        with stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles in odd forms: they are read, or refused below
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights, which could run any code, or is damaged", "Take it from another source"
        ) from error
    except Exception as error:  # OSError and RuntimeError from zip, EOFError, struct.error …
        raise ModelError(
            f"{path} is damaged or no PyTorch checkpoint ({_first_line(error)})", "Copy or download it again"
        ) from error
    if not isinstance(state, dict) or not state:
        raise ModelError(f"{path} holds no weights by name", _ACCEPTED)
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
