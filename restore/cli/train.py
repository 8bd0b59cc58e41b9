"""`restore train`: parse options, build the config, hand over to the training stack."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any

import typer

from restore.errors import OutputError, UsageError


def train(
    data: Annotated[
        str | None, typer.Option(help="Folder of images (any depth), tar shards, or a text file of paths.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder of the run. [default: runs/<recipe>-<time>]")] = None,
    recipe: Annotated[str | None, typer.Option(help="classes or regression. [default: classes]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output, with its own settings.")
    ] = False,
    init: Annotated[
        str | None, typer.Option(help="Start from a checkpoint's weights: a file, a run, or `default`.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="Held-out pictures. [default: taken from --data by the seed]")] = None,
    loss: Annotated[str | None, typer.Option(help="Of recipe regression: l1, mse or huber. [default: l1]")] = None,
    generator: Annotated[
        str | None, typer.Option(help="unet, resnet_unet or efficientnet_unet. [default: efficientnet_unet]")
    ] = None,
    generator_arg: Annotated[
        list[str] | None, typer.Option(help="An argument of the generator, NAME=JSON, such as variant=2. Repeatable.")
    ] = None,
    encoder_weights: Annotated[str | None, typer.Option(help="package, none, or a file. [default: package]")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the training crops in pixels. [default: 128]")] = None,
    working_size: Annotated[
        int | None, typer.Option(help="Size at which the model will colour. [default: 256]")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Samples a step. [default: 32]")] = None,
    steps: Annotated[int | None, typer.Option(help="Stop after so many steps.")] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Stop after so many epochs. [default: 20, if nothing bounds the run]")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes of training.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak rate of new layers. [default: 0.002]")] = None,
    encoder_learning_rate: Annotated[
        float | None, typer.Option(help="Peak rate of a pretrained encoder. [default: 0.0005]")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of AdamW. [default: 0.01]")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the run with a rising rate. [default: 0.03]")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient. [default: 1]")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the averaged weights. [default: 0.999]")] = None,
    degrade: Annotated[
        float | None, typer.Option(help="Film-like degradation of the input, 0 to 1. [default: 0.5]")
    ] = None,
    crop: Annotated[
        float | None, typer.Option(help="Smallest share of the short side in a crop. [default: 0.6]")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="T of the annealed mean. [default: 0.7]")] = None,
    rebalance: Annotated[float | None, typer.Option(help="u: 0 vivid, 1 natural. [default: 0]")] = None,
    precision: Annotated[str | None, typer.Option(help="auto (timed), fp32, bf16 or mixed. [default: auto]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps. [default: auto]")] = None,
    workers: Annotated[int | None, typer.Option(help="Decoding processes. [default: one a core, at most 8]")] = None,
    val_count: Annotated[int | None, typer.Option(help="Held-out pictures measured. [default: 200]")] = None,
    val_every: Annotated[int | None, typer.Option(help="Steps between measurements. [default: 1000]")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between saved states. [default: 500]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, order, crops and noise. [default: 0]")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Train a generator on your own pictures. Needs the extra: pip install 'restore-color[train]'."""
    given = {name: value for name, value in locals().items() if value is not None and name not in ("resume", "quiet")}
    config = _resumed(given) if resume else _new(given)

    # Threads that wait for each other sleep rather than spin: as fast on a quiet machine, and ten times as fast beside
    # another busy process. OpenMP reads it when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from train.recipes import run_recipe

    run_recipe(config, resume=resume, quiet=quiet)


def _resumed(given: dict[str, Any]) -> Any:
    from pathlib import Path

    from train.config import read_config

    if "output" not in given:
        raise UsageError("--resume needs --output RUN", "Name the folder of the run to go on with")
    if others := sorted(set(given) - {"output"}):
        flags = ", ".join("--" + name.replace("_", "-") for name in others)
        raise UsageError(f"--resume goes on with the run's own settings, so {flags} can't be given", "Leave them out")
    import dataclasses

    return dataclasses.replace(read_config(Path(given["output"])), output=given["output"])


def _new(given: dict[str, Any]) -> Any:
    from pathlib import Path

    from train.config import CONFIG_NAME, STATE_NAME, TrainConfig

    if "data" not in given:
        raise UsageError("--data is missing", "Give a folder of images, tar shards, or a text file of paths")
    arguments = _arguments(given.pop("generator_arg", []))
    for name in ("data", "val", "init", "encoder_weights"):
        # A resumed run may begin in another folder. What is no path is a name, such as `default`.
        if name in given and Path(given[name]).expanduser().exists():
            given[name] = str(Path(given[name]).expanduser().resolve())
    given.setdefault("output", f"runs/{given.get('recipe', 'classes')}-{time.strftime('%Y%m%d-%H%M%S')}")
    config = TrainConfig(**given, generator_arguments=arguments)
    if (config.folder / CONFIG_NAME).exists():
        if (config.folder / STATE_NAME).exists():
            raise OutputError(f"{config.folder} holds a run already", "Give another --output, or --resume")
        raise OutputError(
            f"{config.folder} holds a run that ended before it saved anything", "Delete it, or give another --output"
        )
    return config


def _arguments(pairs: list[str]) -> dict[str, Any]:
    import json

    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            arguments[name] = json.loads(value)
        except ValueError as error:
            raise UsageError(f"--generator-arg {pair} is not NAME=JSON", "Such as variant=2") from error
        if not equals or not name:
            raise UsageError(f"--generator-arg {pair} is not NAME=JSON", "Such as variant=2")
    return arguments
