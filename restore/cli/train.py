"""`restore train` and `restore runs`: the options are those of the training stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# The options come from a table of the training stack, which nothing else in `restore` may import. So the arguments are
# passed on unparsed.
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def train(context: typer.Context) -> None:
    """Train a generator on your own pictures. Needs the extra: pip install 'restore-color[train]'."""
    from train.command import build_command

    build_command()(args=context.args, prog_name=context.command_path, standalone_mode=True)


def runs(
    folder: Annotated[Path, typer.Argument(help="A folder of runs, at any depth.")] = Path("runs"),
) -> None:
    """List training runs with what they reached, the best first."""
    from train.runs import list_runs

    list_runs(folder)
