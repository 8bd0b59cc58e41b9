"""Checkpoints: one safetensors file with the weights and, as its metadata, all that is needed to use them.

Loading is strict and never unpickles. Format version 1, metadata keys: `format`, `format_version`, `name`, `config`
(`ModelConfig` as JSON), `scaling`, `training` (a free-form JSON record), `licence`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from restore.errors import ModelError
from restore.files import write_atomically
from restore.networks import GeneratorConfig, HeadConfig, Model, ModelConfig, build_model

FORMAT = "restore-checkpoint"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    name: str
    licence: str
    training: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, model: Model, info: CheckpointInfo, *, half: bool = False) -> None:
    """Write a model and its metadata to `path`, atomically.

    Args:
        half: store the weights of layers in half precision, as the shipped model does. Statistics and biases stay as
            they are: they are few, and a BatchNorm's variance may be beyond what half precision can hold, 65,504.
    """
    tensors = {
        name: tensor.detach()
        .cpu()
        .to(torch.float16 if half and tensor.is_floating_point() and tensor.ndim > 1 else tensor.dtype)
        .contiguous()
        for name, tensor in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "name": info.name,
        "config": json.dumps(asdict(model.config)),
        "scaling": json.dumps(_scaling(model.config)),
        "training": json.dumps(info.training),
        "licence": info.licence,
    }
    data = to_safetensors(tensors, metadata)
    write_atomically(path, lambda stream: stream.write(data))


def load_checkpoint(path: Path) -> tuple[Model, CheckpointInfo]:
    """Build the model that `path` describes and fill it, strictly, in float32.

    Raises:
        ModelError: missing, truncated, foreign, pickled, of a newer format, or tensors that do not fit.
    """
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path} is a safetensors file, but not a checkpoint of restore",
            "Give a file that `restore train` wrote",
        )
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ModelError(
            f"{path} has checkpoint format {metadata.get('format_version')}; this program reads {FORMAT_VERSION}",
            "Update restore",
        )
    try:
        config = _config_from_json(metadata["config"])
        info = CheckpointInfo(metadata["name"], metadata["licence"], json.loads(metadata["training"]))
        scaling = json.loads(metadata["scaling"])
        model = build_model(config)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} describes a model that can't be built: {error}") from error
    if scaling != _scaling(config):
        raise ModelError(f"{path} scales its channels as {scaling}; its network is one for {_scaling(config)}")
    _fill(model, tensors, path)
    return model, info


def _scaling(config: ModelConfig) -> dict[str, str]:
    """How L and ab relate to what the network takes and gives."""
    return {"l": "L/50-1", "ab": f"ab/{config.head.ab_scale:g}"}


def _config_from_json(text: str) -> ModelConfig:
    fields = json.loads(text)
    generator, head = GeneratorConfig(**fields["generator"]), HeadConfig(**fields["head"])
    return ModelConfig(generator, head, int(fields["working_size"]))


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise ModelError(f"model {path} can't be read: {error.strerror or error}") from error
    # A safetensors file begins with the length of its JSON header, whose low bytes may be those of a pickle or a zip.
    if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
        raise ModelError(
            f"{path} is a pickled PyTorch file, which could run any code when opened",
            "Use a .safetensors checkpoint that `restore train` wrote",
        )
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or no safetensors file ({error})", "Copy or download it again") from error


def _fill(model: Model, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    wanted = model.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is not part of the network" for name in tensors if name not in wanted]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 2} more" if len(problems) > 2 else ""
        raise ModelError(f"{path} does not fit its own description: {'; '.join(problems[:2])}{more}")
    model.load_state_dict(dict(tensors), strict=True)
