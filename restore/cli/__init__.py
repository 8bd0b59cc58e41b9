"""The command line. Only here do errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from restore import __version__
from restore.cli.eval import app as eval_app
from restore.cli.models import app as models_app
from restore.cli.photos import photos
from restore.cli.serve import serve
from restore.cli.train import PASS_ON, runs, train
from restore.cli.video import video
from restore.errors import INTERRUPTED_EXIT_CODE, TERMINATED_EXIT_CODE, RestoreError, Terminated
from restore.stopping import raise_on_sigterm

app = typer.Typer(
    name="restore",
    help="Colour for black-and-white archives. The luma that was scanned stays as it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: "[train]" is no markup, and a third of the time
)
app.command()(photos)
app.command()(video)
app.command()(serve)
app.add_typer(eval_app, name="eval")
app.command(context_settings=PASS_ON)(train)
app.command()(runs)
app.add_typer(models_app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"restore {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with the code that docs/errors.md gives."""
    raise_on_sigterm()
    try:
        app()
    except RestoreError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except SystemExit as error:
        # typer turns KeyboardInterrupt into this, and prints nothing.
        if error.code == INTERRUPTED_EXIT_CODE:
            _say(f"interrupted. {_how_to_go_on()}")
        raise
    except Terminated:
        _say(f"terminated. {_how_to_go_on()}")
        sys.exit(TERMINATED_EXIT_CODE)
    except BrokenPipeError:
        # The program that reads our output has closed it, as `head` does; without this Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  the last resort: one line instead of a traceback
        if os.environ.get("RESTORE_DEBUG") == "1":
            traceback.print_exc()
        _say(f"unexpected {type(error).__name__}: {error}. Please report it, with what RESTORE_DEBUG=1 prints")
        sys.exit(1)


def _how_to_go_on() -> str:
    if sys.argv[1:2] == ["train"]:
        return "`restore train --resume --output RUN` goes on, where the run had begun"
    if sys.argv[1:2] == ["serve"]:
        return "The same command begins anew"
    return "Run the same command again to go on"


def _say(text: str) -> None:
    from restore.progress import say

    say(f"restore: error: {text}", error=True)
