"""Writing a checkpoint as an ONNX model: luma in, ab out, with the head's decoding and the checkpoint's metadata."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from restore.checkpoint import load_checkpoint
from restore.color import lightness_from_luma, scale_l
from restore.colorizers.network import fold_batch_norms
from restore.colorizers.onnx_model import (
    AB,
    FORMAT,
    FORMAT_VERSION,
    HINTS,
    LUMA,
    NUMBERS,
    OWN_AB,
    SHARES,
    VECTORS,
    VIVIDNESS,
)
from restore.errors import MissingDependencyError
from restore.files import write_atomically
from restore.model_files import sha256
from restore.networks import ClassesHead, Model
from restore.networks.told import scaled_hints

if TYPE_CHECKING:
    import onnx

# Tensors with fewer values stay in float32: biases, and constants of the decoding.
_WORTH_HALVING = 1 << 12


class _Graph(nn.Module):
    """What is exported. See `onnx_model` for the names."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        luma: Tensor,
        vividness: Tensor | None = None,
        hints: Tensor | None = None,
        vectors: Tensor | None = None,
        numbers: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        scaled_l = scale_l(lightness_from_luma(luma))
        raw = self.model.raw(scaled_l, None if hints is None else scaled_hints(hints))
        head = self.model.head
        if not isinstance(head, ClassesHead):
            return (head.decode(raw),)
        if vectors is not None and numbers is not None:
            shares = head.shares(raw, vectors[:, 0])
            return head.decode_fitted(shares, self.model.at_output(scaled_l), vectors[:, 1], numbers), shares
        assert vividness is not None
        outputs = (head.decode(raw, self.model.at_output(scaled_l), vividness), head.shares(raw))
        return outputs if head.vividness is not None else (*outputs, head.decode(raw))


def export_onnx(checkpoint: Path, output: Path, *, half: bool = False) -> None:
    """Write the ONNX form of a checkpoint, atomically. Batch, height and width stay free.

    Args:
        half: store weights in half precision. They are converted when the model is loaded; it computes in float32.

    Raises:
        ModelError: the checkpoint is missing or damaged.
        MissingDependencyError: the packages of the extra `export` are not installed.
        OutputError: `output` can't be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  what torch.onnx works with
    except ImportError as error:
        raise MissingDependencyError(
            f"exporting needs {error.name}, which is not installed", "Run: pip install 'restore-color[export]'"
        ) from error
    model, info = load_checkpoint(checkpoint)
    model.eval().requires_grad_(False)
    fold_batch_norms(model.generator)
    proto = _trace(model)
    forget_paths(proto)
    if half:
        _halve(proto)
    head = model.head
    own = head.vividness if isinstance(head, ClassesHead) else None
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": info.name,
        "licence": info.licence,
        "working_size": str(model.config.working_size),
        "size_multiple": str(model.generator.input_multiple),
        "source_sha256": sha256(checkpoint),
        "vividness": "" if own is None else str(own),
        "bins": json.dumps(head.bins.tolist() if isinstance(head, ClassesHead) else None),
        "weights": json.dumps(head.weights.tolist() if isinstance(head, ClassesHead) else None),
        "config": json.dumps(asdict(model.config)),
        "training": json.dumps(info.training),
    }
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    write_atomically(output, lambda stream: stream.write(data))


def _trace(model: Model) -> onnx.ModelProto:
    side = 2 * int(model.generator.input_multiple)  # type: ignore[arg-type]
    # Two pictures of unequal sides: what is 1, or equal, would be taken for a constant.
    arguments = {LUMA: torch.rand(2, 1, side, side * 2)}
    any_size = torch.export.Dim.DYNAMIC
    picture = {0: any_size, 2: any_size, 3: any_size}
    free: dict[str, dict[int, Any] | None] = {LUMA: picture}
    outputs = [AB]
    head = model.head
    if isinstance(head, ClassesHead) and head.decodings is not None:
        vectors, numbers = head.decodings.tables("vivid", ("modern", "period"))
        arguments |= {VECTORS: torch.from_numpy(vectors), NUMBERS: torch.from_numpy(numbers)}
        free |= {VECTORS: {0: any_size}, NUMBERS: {0: any_size}}
        outputs.append(SHARES)
    elif isinstance(head, ClassesHead):
        arguments[VIVIDNESS] = torch.tensor(1.0)
        free[VIVIDNESS] = None
        outputs += [SHARES] + ([OWN_AB] if head.vividness is None else [])
    if model.takes_hints:
        arguments[HINTS], free[HINTS] = torch.ones(2, 3, side, side * 2), picture
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(?!restore\b)")  # of what the exporter itself should not call
            program = torch.onnx.export(
                _Graph(model).eval(),
                kwargs=arguments,
                input_names=list(arguments),
                output_names=outputs,
                dynamic_shapes=free,
                dynamo=True,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    assert program is not None  # with dynamo
    return program.model_proto


def forget_paths(proto: onnx.ModelProto) -> None:
    """Remove what the exporter notes at each node: lines of code with this machine's paths."""
    graph = proto.graph
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""


def _halve(proto: onnx.ModelProto) -> None:
    """Store the large tensors in half precision, each followed by its conversion."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _WORTH_HALVING:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
