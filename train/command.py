"""The command line of training, made of `TrainConfig`: each option is declared there, and nowhere else."""

from __future__ import annotations

import inspect
import json
import os
import time
from dataclasses import MISSING, Field, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from restore.errors import OutputError, UsageError
from train.config import CONFIG_NAME, OPTION_TYPES, OPTIONS, STATE_NAME, TrainConfig, flag_of
from train.presets import read_config, resolve

_PATHS = ("data", "val", "init", "encoder_weights", "feature_weights")

_Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run in --output, with its own settings, from its last saved state."),
]
_Config = Annotated[Path | None, typer.Option(help="Options from a TOML file, or a run's config.json.")]
_Plot = Annotated[Path | None, typer.Option(help="Draw the curves of a run as RUN/curves.png, and train nothing.")]
_Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing.")]


def build_command() -> typer.Typer:
    """`restore train`, with one option for each field of `TrainConfig`."""

    def train(resume: bool, config: Path | None, plot: Path | None, quiet: bool, **options: Any) -> None:
        given = {name: value for name, value in options.items() if value is not None and value != []}
        if plot is not None:
            from train.plot import plot_run

            typer.echo(f"wrote {plot_run(plot)}")
            return
        resolved = _resumed(given, config) if resume else _new(given, config)
        resume = resume and (resolved.folder / STATE_NAME).exists()  # else it ended before it saved anything
        # Threads that wait for each other sleep rather than spin: as fast on a quiet machine, and ten times as fast
        # beside another busy process. OpenMP reads it when torch is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from restore.memory import keep_all_freed_memory
        from train.recipes import run_recipe

        keep_all_freed_memory()

        run_recipe(resolved, resume=resume, quiet=quiet)

    train.__doc__ = (
        "Train a generator on your own pictures. Needs the extra: pip install 'restore-color[train]'.\n\n"
        "Defaults are those of recipe classes; other recipes and presets have their own (docs/training.md)."
    )
    fixed = {"resume": (_Resume, False), "config": (_Config, None), "plot": (_Plot, None), "quiet": (_Quiet, False)}
    parameters = {name: (_annotation(option), None) for name, option in OPTIONS.items()} | fixed
    train.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in parameters.items()
        ]
    )
    train.__annotations__ = {name: annotation for name, (annotation, _) in parameters.items()}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command("train")(train)
    return app


def _annotation(option: Field[Any]) -> Any:
    """What typer needs to know: None stands for not given, so that recipes can have defaults of their own."""
    kind = OPTION_TYPES[option.name]
    text = option.metadata["help"]
    if choices := option.metadata["choices"]:
        text += f" {', '.join(choices)}."
    if option.default is not MISSING and option.default not in (None, "") and "[default" not in text:
        text += f" [default: {option.default}]"
    flag = flag_of(option)
    if option.default_factory is not MISSING:
        return Annotated[list[str] | None, typer.Option(flag, help=text)]
    names = (f"{flag}/--no-{flag[2:]}",) if kind is bool else (flag,)
    return Annotated[kind | None, typer.Option(*names, help=text)]


def _resumed(given: dict[str, Any], file: Path | None) -> TrainConfig:
    if "output" not in given:
        raise UsageError("--resume needs --output RUN", "Name the folder of the run to go on with")
    others = [flag_of(OPTIONS[name]) for name in given if name != "output"] + (["--config"] if file else [])
    if others:
        raise UsageError(
            f"--resume goes on with the run's own settings, so {', '.join(sorted(others))} can't be given",
            "Leave them out",
        )
    return replace(read_config(Path(given["output"])), output=given["output"])


def _new(given: dict[str, Any], file: Path | None) -> TrainConfig:
    for name in ("generator_arguments", "discriminator_arguments"):
        if name in given:
            given[name] = _arguments(given[name], flag_of(OPTIONS[name]))
    if "also" in given:
        given["also"] = _times(given["also"])
    config = resolve(given, file)
    if not config.data:
        raise UsageError(
            "--data is missing", "Give a folder of images, tar shards, a text file of paths, or a data set's name"
        )
    # A resumed run may begin in another folder. What is no path is a name, such as `default`.
    absolute: dict[str, Any] = {
        name: str(Path(value).expanduser().resolve())
        for name in _PATHS
        if (value := getattr(config, name)) and Path(value).expanduser().exists()
    }
    absolute["also"] = {
        str(path.resolve()) if (path := Path(name).expanduser()).exists() else name: times
        for name, times in config.also.items()
    }
    for name, value in (("data_root", config.data_root), ("cache", config.cache)):
        if value is not None:
            absolute[name] = str(Path(value).expanduser().resolve())
    name = f"{config.recipe}{'-' + config.preset if config.preset else ''}-{time.strftime('%Y%m%d-%H%M%S')}"
    config = replace(config, **absolute, output=config.output or f"runs/{name}")
    if (config.folder / CONFIG_NAME).exists() and os.environ.get("RANK", "0") == "0":
        raise OutputError(f"{config.folder} holds a run already", "Give another --output, or --resume")
    return config


def _times(pairs: list[str]) -> dict[str, int]:
    """PATH=TIMES; the path may hold an equals sign as well."""
    times = {}
    for pair in pairs:
        path, _, count = pair.rpartition("=")
        if not path or not count.isdecimal():
            raise UsageError(f"--also {pair} is not PATH=TIMES", "Such as period.tar=8")
        times[path] = int(count)
    return times


def _arguments(pairs: list[str], flag: str) -> dict[str, Any]:
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            arguments[name] = json.loads(value)
        except ValueError as error:
            raise UsageError(f"{flag} {pair} is not NAME=JSON", "Such as filters=32") from error
        if not equals or not name:
            raise UsageError(f"{flag} {pair} is not NAME=JSON", "Such as filters=32")
    return arguments
