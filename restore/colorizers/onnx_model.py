"""Exported networks as a `ColorModel`, by ONNX Runtime: it starts in a tenth of a second, where PyTorch takes two.

The file's metadata says all that is needed to use it, as a checkpoint's does. `onnx_export` writes such files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from restore.colorizers.base import Classes, FloatArray, choose_vividness
from restore.decoding import Decodings
from restore.errors import DeviceError, MissingDependencyError, ModelError
from restore.options import DEFAULT_STYLE, Era, Runtime, Style

SUFFIX = ".onnx"
FORMAT = "restore-onnx"
FORMAT_VERSION = "3"
# The graph's inputs: luma (N, 1, H, W) in [0, 1], and a number where it has styles. Its outputs, (N, 2, h, w) in Lab
# units: colours of least cost where it has styles, else the only ones; and its own decoding where that is another.
# Where it takes them, hints (N, 3, H, W): a and b in Lab units, and a mask; zeros tell it nothing.
# Where it knows them, the shares of the bins, (N, h, w, Q): they are on the way to ab, so they cost nothing.
# Where its styles and eras are fitted, two tables instead of a number (`restore.decoding.Decodings.tables`).
LUMA, VIVIDNESS, HINTS, VECTORS, NUMBERS = "luma", "vividness", "hints", "vectors", "numbers"
AB, OWN_AB, SHARES = "ab", "own_ab", "shares"
_QUIET = 4  # ONNX Runtime's severity "fatal": what is wrong with a file is said by our own errors


@dataclass(frozen=True)
class OnnxInfo:
    """What an exported model says of itself.

    Args:
        source_sha256: of the checkpoint that it was exported from.
        vividness: its own; None for a model that has no styles, or decodes otherwise unless it is told one.
        has_styles: whether it can be told how vivid to be.
        takes_hints: whether it can be told colours.
        decodings: of its styles and eras, where they are fitted.
        classes: that its shares are those of; None for a model that guesses one colour.
    """

    name: str
    licence: str
    working_size: int
    size_multiple: int
    source_sha256: str
    vividness: float | None
    has_styles: bool
    takes_hints: bool
    decodings: Decodings | None
    classes: Classes | None
    config: dict[str, Any]
    training: dict[str, Any]


class OnnxColorModel:
    """An exported model, ready to colour on a CPU."""

    runtime: Runtime = "onnxruntime"
    device = "cpu"
    dtype = "float32"

    def __init__(self, path: Path) -> None:
        """Load an exported model.

        Raises:
            ModelError: it can't be read, is truncated, damaged, of another program or of a newer format.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"model {path} can't be read: {error.strerror or error}") from error
        self._data, self._path = data, path
        self._session = _open(data, path, threads=1)
        self.info = _info(self._session, path)
        self.name = self.info.name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.working_size, self.size_multiple = self.info.working_size, self.info.size_multiple
        self.classes, self.takes_hints = self.info.classes, self.info.takes_hints
        self.knows_eras = self.info.decodings is not None
        self._vividness = self.info.vividness
        self._style: Style = DEFAULT_STYLE

    def choose_style(self, style: Style | None) -> None:
        """How vivid from now on, as `NetworkColorModel.from_file` takes it. Raises UsageError."""
        info = self.info
        self._style = style or DEFAULT_STYLE
        if self.knows_eras:
            return
        self._vividness = choose_vividness(self.name, info.vividness, info.has_styles, style)

    def prepare(self, device: str, dtype: str | None = None, threads: int | None = None) -> None:
        if device not in ("auto", "cpu"):
            raise DeviceError(
                f"model {self._path} runs on the CPU only, not on {device}",
                "Use --device cpu, or the .safetensors file that it was exported from",
            )
        if dtype not in (None, self.dtype):
            raise DeviceError(f"model {self._path} computes in {self.dtype} only, not in {dtype}")
        if threads != 1:
            self._session = _open(self._data, self._path, threads)

    def predict(
        self,
        luma: FloatArray,
        doubt: bool = False,
        hints: FloatArray | None = None,
        eras: Sequence[Era] | None = None,
    ) -> FloatArray:
        if not doubt:
            return self._run(luma, hints, eras, ())[0]
        ab, shares = self.distribution(luma, hints, eras)
        assert self.classes is not None
        return np.concatenate((ab, self.classes.doubt(ab, shares)), axis=1)

    def distribution(
        self, luma: FloatArray, hints: FloatArray | None = None, eras: Sequence[Era] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        ab, shares = self._run(luma, hints, eras, (SHARES,))
        return ab, shares

    def _run(
        self, luma: FloatArray, hints: FloatArray | None, eras: Sequence[Era] | None, beside: tuple[str, ...]
    ) -> list[FloatArray]:
        """ab, and other outputs."""
        feed: dict[str, Any] = {LUMA: luma[:, None]}
        if self.takes_hints:
            feed[HINTS] = np.zeros((len(luma), 3, *luma.shape[1:]), np.float32) if hints is None else hints
        if self.info.decodings:
            tables = self.info.decodings.tables(self._style, eras or ["period"] * len(luma))
            feed[VECTORS], feed[NUMBERS] = tables
        elif self.info.has_styles:
            feed[VIVIDNESS] = np.asarray(self._vividness or 0.0, np.float32)
        output = OWN_AB if VIVIDNESS in feed and self._vividness is None else AB
        return [np.asarray(result, np.float32) for result in self._session.run([output, *beside], feed)]


def _open(data: bytes, path: Path, threads: int | None) -> Any:
    """A session. From bytes, so that a model can't name other files to be read.

    Args:
        threads: of each call; None is all processors.
    """
    try:
        # From 1.31 on it reports each use to Microsoft unless it is told not to.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs ONNX Runtime, which is not installed", "Run: pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads or 0
    if threads:
        # Threads that spin while they wait take processors from those that read and write.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime has a dozen types, with no parent of their own
        raise ModelError(
            f"{path} is damaged or no ONNX model ({str(error).splitlines()[0]})", "Copy or export it again"
        ) from error


def _decodings(metadata: dict[str, str]) -> Decodings:
    return Decodings(json.loads(metadata["config"])["head"]["decodings"])


def _info(session: Any, path: Path) -> OnnxInfo:
    metadata = session.get_modelmeta().custom_metadata_map
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path} is an ONNX model, but not one of restore", "Give a file that `restore models export` wrote"
        )
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format {metadata.get('format_version')}; this program reads {FORMAT_VERSION}",
            "Update restore, or export the model again",
        )
    inputs = {entry.name for entry in session.get_inputs()}
    outputs = {entry.name for entry in session.get_outputs()}
    try:
        info = OnnxInfo(
            name=metadata["name"],
            licence=metadata["licence"],
            working_size=int(metadata["working_size"]),
            size_multiple=int(metadata["size_multiple"]),
            source_sha256=metadata["source_sha256"],
            vividness=float(metadata["vividness"]) if metadata["vividness"] else None,
            has_styles=VIVIDNESS in inputs or VECTORS in inputs,
            takes_hints=HINTS in inputs,
            decodings=_decodings(metadata) if VECTORS in inputs else None,
            classes=_classes(json.loads(metadata["bins"]), json.loads(metadata["weights"])),
            config=json.loads(metadata["config"]),
            training=json.loads(metadata["training"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} describes itself in a way that can't be read: {error}") from error
    wanted = {AB} | ({OWN_AB} if VIVIDNESS in inputs and info.vividness is None else set())
    wanted |= {SHARES} if info.classes is not None else set()
    if LUMA not in inputs or not wanted <= outputs or info.working_size < 1 or info.size_multiple < 1:
        raise ModelError(f"{path} does not fit its own description")
    return info


def _classes(bins: list[list[float]] | None, weights: list[float] | None) -> Classes | None:
    """None for neither. Raises ValueError, TypeError: they are no such numbers, or not as many of both."""
    if bins is None and weights is None:
        return None
    classes = Classes(np.array(bins, np.float32), np.array(weights, np.float32))
    if classes.bins.shape != (len(classes.weights), 2) or not (classes.weights > 0).all():
        raise ValueError(f"{classes.bins.shape} bins and {classes.weights.shape} weights")
    return classes
