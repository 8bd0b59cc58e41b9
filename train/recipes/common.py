"""What each recipe begins with: data, device, and networks with their first weights; and what recipes share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from restore.checkpoint import load_checkpoint
from restore.colorizers.devices import find_device
from restore.errors import UsageError
from restore.files import check_writable
from restore.model_files import find_checkpoint
from restore.networks import (
    GENERATORS,
    GeneratorConfig,
    HeadConfig,
    Model,
    ModelConfig,
    build_model,
    can_take_hints,
)
from restore.sources import PhotoSource, joined, split
from train import distributed
from train.config import TrainConfig
from train.datasets import open_data, own_validation
from train.discriminators import build_discriminator
from train.encoders import encoder_parameters, load_encoder_weights
from train.initialise import initialise
from train.learner import Learner, new_optimizer
from train.loop import Learning, Run, Stage
from train.precision import apply_precision, autocast, fastest_precision
from train.presets import STAGES
from train.steps import Autocast, Step

if TYPE_CHECKING:
    from train.cache import PictureCache

_HINT_LAYERS = "generator.told."  # how their tensors are called


@contextmanager
def prepared(
    config: TrainConfig, head: str, *, discriminator: bool = False, resume: bool, quiet: bool
) -> Iterator[Run]:
    """Open the data and build the networks that the config describes, on their device.

    Raises:
        InputError, OutputError, UsageError, ModelError, DeviceError, MissingDependencyError: with what to do about it.
    """
    chosen = _stage_names(config, [name for name, _ in STAGES[config.recipe]])
    given = config.given_stage_steps()
    if given and len(given) != len(chosen):
        raise UsageError(
            f"--stage-steps {config.stage_steps} is for {len(given)} stages; "
            f"this run has {len(chosen)}: {', '.join(chosen)}"
        )
    check_writable(config.folder)
    with distributed.joined(config.device, config.batch) as place:
        device = find_device(place)
        if config.sync_batchnorm:
            _check_sync(device)
        torch.manual_seed(config.seed)
        with distributed.first_alone():
            model, grown = _model(config, head)
            training, held_out = _pictures(config)
            cache = _cache(config)
        config = _effective(config, model)
        multiple = int(model.generator.input_multiple)  # type: ignore[arg-type]
        if config.size % multiple:
            raise UsageError(
                f"--size {config.size} does not suit {model.config.generator.architecture}",
                f"Give a multiple of {multiple}",
            )
        judge = _discriminator(config, device) if discriminator else None
        model = model.to(device).to(memory_format=torch.channels_last)
        if config.precision == "auto":
            parts = config.accumulate * distributed.processes()
            fastest = fastest_precision(model, max(1, config.batch // parts), config.size, device)
            config = replace(config, precision=distributed.gathered(fastest)[0])
        apply_precision(model, config.precision)
        if config.sync_batchnorm:
            model.generator = nn.SyncBatchNorm.convert_sync_batchnorm(model.generator)
            judge = nn.SyncBatchNorm.convert_sync_batchnorm(judge) if judge else None
        yield Run(config, model, device, training, held_out, judge, cache, resume, quiet, tuple(grown))


def chosen_stages(config: TrainConfig, stages: dict[str, Stage]) -> list[Stage]:
    """The stages that `--stages` names, in their order; all where it names none.

    Raises:
        UsageError: a name that the recipe does not know.
    """
    return [stages[name] for name in _stage_names(config, list(stages))]


def _stage_names(config: TrainConfig, known: list[str]) -> list[str]:
    wanted = known if config.stages is None else [name.strip() for name in config.stages.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"--stages: recipe {config.recipe} has no stage {unknown[0]!r}", f"Known: {', '.join(known)}")
    return [name for name in known if name in wanted]


def share_of(config: TrainConfig, stage: str) -> float:
    """A stage's share of the run."""
    return dict(STAGES[config.recipe])[stage]


def generator_learner(run: Run, rate: float | None = None, encoder_rate: float | None = None) -> Learner:
    """The generator's; a pretrained encoder may learn more slowly, and layers that take hints have a rate of their own.

    Args:
        rate: peak of the learning rate; None is `--learning-rate`.
        encoder_rate: of the encoder; None is the same rate.
    """
    config = run.config
    peak = rate or config.learning_rate
    pretrained = config.encoder_weights != "none" or config.init is not None
    encoder = {id(p) for p in encoder_parameters(run.model)} if pretrained and encoder_rate else set()
    told = {id(p) for name, p in run.model.named_parameters() if name.startswith(_HINT_LAYERS)}
    groups = [
        ([p for p in run.model.parameters() if id(p) in encoder], encoder_rate or peak),
        ([p for p in run.model.parameters() if id(p) in told], config.hint_learning_rate),
        ([p for p in run.model.parameters() if id(p) not in encoder | told], peak),
    ]
    return Learner(run.model.generator, new_optimizer(config, groups, config.weight_decay), config, run.device)


def discriminator_learner(run: Run) -> Learner:
    config = run.config
    assert run.discriminator is not None, "the recipe asked for one"
    peak = config.discriminator_learning_rate or config.learning_rate
    groups = [(list(run.discriminator.parameters()), peak)]
    optimizer = new_optimizer(config, groups, config.discriminator_weight_decay)
    return Learner(run.discriminator, optimizer, config, run.device)


def single(learner: Learner, step: Step) -> Learning:
    """A stage in which the generator learns alone."""
    return Learning({"generator": learner}, step)


def autocast_of(run: Run) -> Autocast:
    return lambda: autocast(run.config.precision, run.device)


def _check_sync(device: torch.device) -> None:
    if device.type != "cuda" or distributed.processes() == 1:
        raise UsageError("--sync-batchnorm needs several GPUs", "Start the run with torchrun, or leave it out")


def _pictures(config: TrainConfig) -> tuple[PhotoSource, PhotoSource]:
    """Training and held-out pictures."""
    root = Path(config.data_root)
    data = open_data(config.data, root)
    held_out = open_data(config.val, root) if config.val else own_validation(config.data, root)
    if held_out is None:
        if len(data) < 2:
            raise UsageError(
                f"{config.data} holds one picture; training needs one more to hold out", "Give more, or --val"
            )
        # A fifth at most, so that small collections keep something to learn from.
        data, held_out = split(data, min(config.val_count, max(1, len(data) // 5)), config.seed)
    elif len(held_out) > config.val_count:
        _, held_out = split(held_out, config.val_count, config.seed)
    if config.subset is not None and config.subset < len(data):
        order = np.random.default_rng(config.seed).permutation(len(data))
        data = data.select(np.sort(order[: config.subset]))
    if config.also:
        data = joined([(data, 1), *((open_data(name, root), times) for name, times in config.also.items())])
    return data, held_out


def _cache(config: TrainConfig) -> PictureCache | None:
    if config.cache is None:
        return None
    from train.cache import PictureCache

    return PictureCache(Path(config.cache), config.cache_gb)


def _effective(config: TrainConfig, model: Model) -> TrainConfig:
    """With the values that the checkpoint, or else the recipe, brought where none was given: the run's record."""
    head = model.config.head
    return replace(
        config,
        ab_scale=head.ab_scale,
        working_size=model.config.working_size,
        temperature=head.temperature,
        rebalance=head.rebalance,
    )


def _initial(config: TrainConfig, head: str) -> tuple[Model, list[str]]:
    """The model of `--init`, and the parts that it was grown by. Its decoding and working size stay where no others
    are given."""
    model, _ = load_checkpoint(find_checkpoint(str(config.init)))
    _check_init(config, model, head)
    decoding = model.config.head
    if (config.temperature, config.rebalance) not in ((None, None), (decoding.temperature, decoding.rebalance)):
        decoding = replace(
            decoding,
            temperature=config.temperature or decoding.temperature,
            rebalance=decoding.rebalance if config.rebalance is None else config.rebalance,
            vividness=None,
            decodings=None,  # fitted to other weights
        )
    size = config.working_size or model.config.working_size
    generator, asked = model.config.generator, dict(config.generator_arguments)
    if config.hints:
        _check_hints(generator.architecture)
        asked["hints"] = True
    generator = replace(generator, arguments={**generator.arguments, **asked})
    return _grown(model, ModelConfig(generator, decoding, size), f"--init {config.init}")


def _model(config: TrainConfig, head: str) -> tuple[Model, list[str]]:
    """The network, and the parts of it that are new in a checkpoint's."""
    if config.init is not None:
        return _initial(config, head)
    head_config = HeadConfig(head, config.temperature or 0.7, config.rebalance or 0.0)
    if head == "regression":
        head_config = replace(head_config, ab_scale=config.ab_scale)
    size = config.working_size or 256
    arguments = dict(config.generator_arguments)
    if head == "classes" and config.generator != "efficientnet_unet":
        arguments.setdefault("output_stride", 4)  # 261 logits a pixel at full size would cost more than the network
    if config.hints:
        _check_hints(config.generator)
        arguments["hints"] = True
    try:
        model = build_model(ModelConfig(GeneratorConfig(config.generator, arguments), head_config, size))
    except ValueError as error:
        raise UsageError(str(error)) from error
    initialise(model.generator, config.initialisation)
    load_encoder_weights(model, config.encoder_weights)
    return model, []


def _check_init(config: TrainConfig, model: Model, head: str) -> None:
    """A checkpoint brings its own generator; one that was asked for has to be that one."""
    ours, asked = model.config, f"--init {config.init}"
    if ours.head.kind != head:
        raise UsageError(
            f"{asked} has a {ours.head.kind} head; recipe {config.recipe} needs {head}",
            "Give a checkpoint of such a recipe",
        )
    if config.generator not in ("checkpoint", ours.generator.architecture):
        raise UsageError(
            f"{asked} is a {ours.generator.architecture}, not the --generator {config.generator} that was asked for",
            "Leave --generator out to go on with the checkpoint's",
        )


def _check_hints(architecture: str) -> None:
    if not can_take_hints(architecture):
        known = ", ".join(name for name in GENERATORS if can_take_hints(name))
        raise UsageError(f"--hints: generator {architecture} takes none", f"Leave it out, or give --generator {known}")


def _grown(model: Model, config: ModelConfig, asked: str) -> tuple[Model, list[str]]:
    """The same weights under a changed config. Decoding and working size are part of it, and so are arguments by which
    the generator grows: tensors that the model does not have keep their first values, and the parts that they are in
    are returned beside the network.

    Raises:
        UsageError: not all of its weights are part of the new network, in the same shapes.
    """
    try:
        grown = build_model(config)
    except ValueError as error:
        raise UsageError(str(error)) from error
    ours, theirs = grown.state_dict(), model.state_dict()
    unfit = [name for name in theirs if name not in ours or ours[name].shape != theirs[name].shape]
    if unfit:
        arguments = ", ".join(f"{name}={value}" for name, value in config.generator.arguments.items())
        raise UsageError(
            f"{asked} can't grow into a network with {arguments}: its {unfit[0]} has no place there",
            "Give only arguments that add something, or leave --init out",
        )
    grown.load_state_dict({**ours, **theirs})
    return grown, sorted({name.split(".")[1] for name in ours.keys() - theirs.keys()})


def _discriminator(config: TrainConfig, device: torch.device) -> nn.Module:
    try:
        network = build_discriminator(config.discriminator, config.discriminator_arguments)
    except ValueError as error:
        raise UsageError(str(error)) from error
    initialise(network, config.initialisation)
    _check_large_enough(network, config.size)
    return network.to(device).to(memory_format=torch.channels_last)


def _check_large_enough(network: nn.Module, size: int) -> None:
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        raise UsageError(
            f"--size {size} is too small for this discriminator", "Give a larger one, or --discriminator-arg downs=2"
        ) from error
