"""What each recipe begins with: data, device, and a model with its first weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from restore.checkpoint import load_checkpoint
from restore.colorizers.devices import find_device
from restore.errors import UsageError
from restore.model_files import find_checkpoint
from restore.networks import GeneratorConfig, HeadConfig, Model, ModelConfig, build_model
from restore.sources import PhotoSource, open_source, split
from train.config import TrainConfig
from train.encoders import load_encoder_weights


@dataclass(frozen=True)
class Parts:
    model: Model
    device: torch.device
    training: PhotoSource
    held_out: PhotoSource


def prepare(config: TrainConfig, head: str) -> Parts:
    """Open the data and build the model that the config describes.

    Raises:
        InputError, UsageError, ModelError, DeviceError, MissingDependencyError: with what to do about it.
    """
    device = find_device(config.device)
    torch.manual_seed(config.seed)
    model = _model(config, head)
    multiple = int(model.generator.input_multiple)  # type: ignore[arg-type]
    if config.size % multiple:
        raise UsageError(
            f"--size {config.size} does not suit {model.config.generator.architecture}",
            f"Give a multiple of {multiple}",
        )
    data = open_source(Path(config.data).expanduser())
    if config.val is None:
        # A fifth at most, so that small collections keep something to learn from.
        count = min(config.val_count, max(1, len(data) // 5))
        if len(data) < 2:
            raise UsageError(
                f"{config.data} holds one picture; training needs one more to hold out", "Give more, or --val"
            )
        training, held_out = split(data, count, config.seed)
    else:
        training = data
        held_out = open_source(Path(config.val).expanduser())
        if len(held_out) > config.val_count:
            _, held_out = split(held_out, config.val_count, config.seed)
    return Parts(model, device, training, held_out)


def _model(config: TrainConfig, head: str) -> Model:
    head_config = HeadConfig(head, config.temperature, config.rebalance)
    if config.init is not None:
        model, _ = load_checkpoint(find_checkpoint(config.init))
        if model.config.head.kind != head:
            raise UsageError(
                f"--init {config.init} has a {model.config.head.kind} head; recipe {config.recipe} needs {head}"
            )
        model.config = replace(model.config, head=head_config, working_size=config.working_size)
        return _rebuilt(model)
    arguments = dict(config.generator_arguments)
    if head == "classes" and config.generator in ("unet", "resnet_unet"):
        arguments.setdefault("output_stride", 4)  # 261 logits a pixel at full size would cost more than the network
    try:
        model = build_model(ModelConfig(GeneratorConfig(config.generator, arguments), head_config, config.working_size))
    except ValueError as error:
        raise UsageError(str(error)) from error
    load_encoder_weights(model, config.encoder_weights)
    return model


def _rebuilt(model: Model) -> Model:
    """The same weights under a changed config (decoding and working size are part of it)."""
    try:
        renewed = build_model(model.config)
    except ValueError as error:
        raise UsageError(str(error)) from error
    renewed.load_state_dict(model.state_dict())
    return renewed
