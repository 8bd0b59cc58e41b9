"""`restore serve`: parse, build the options, call, exit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from restore.errors import (
    INTERRUPTED_EXIT_CODE,
    TERMINATED_EXIT_CODE,
    MissingDependencyError,
    Terminated,
    UsageError,
)
from restore.options import EngineOptions, ServeOptions


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at. One that other computers reach needs --auth.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes any that is free.")] = 7860,
    model: Annotated[str, typer.Option(help="A model's name, a checkpoint file or the folder of a run.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    max_megapixels: Annotated[int, typer.Option(metavar="MILLIONS", help="Refuse photos of more pixels.")] = 100,
    max_upload: Annotated[int, typer.Option(metavar="MB", help="Refuse larger files.")] = 2000,
    max_minutes: Annotated[int, typer.Option(metavar="MINUTES", help="Refuse longer films.")] = 60,
    auth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Let in only the users in this file (htpasswd, bcrypt).")
    ] = None,
    add_user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask for NAME's password, put it into --auth FILE, and end.")
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in this computer's browser.")] = False,
) -> None:
    """Show a page for photos and films in the browser. Nothing leaves this computer; Ctrl-C ends it."""
    options = ServeOptions(
        host=host,
        port=port,
        engine=EngineOptions(model=model, device=device),
        max_megapixels=max_megapixels,
        max_upload=max_upload,
        max_minutes=max_minutes,
        auth=auth,
        open=open,
    )
    try:
        if add_user is not None:
            _add_user(options, add_user)
        else:
            _serve(options)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn", "anyio", "bcrypt"):
            raise
        raise MissingDependencyError("the page needs packages that are not installed", _INSTALL) from error


_INSTALL = "pip install 'restore-color[web]'"


def _add_user(options: ServeOptions, user: str) -> None:
    from restore.progress import say
    from restore.web.passwords import add_user

    if options.auth is None:
        raise UsageError("--add-user needs the file that the user goes into", "Give --auth FILE")
    password = typer.prompt(f"Password for {user}", hide_input=True, confirmation_prompt=True)
    add_user(options.auth, user, password)
    say(f"{user} is in {options.auth} now")


def _serve(options: ServeOptions) -> None:
    from restore.progress import say
    from restore.web.server import serve

    ending = serve(options)
    say("Uploads and results were removed")
    if not ending.work_ended:
        # Otherwise the photo in progress is finished first, although its folder is gone and nobody can see it.
        os._exit(TERMINATED_EXIT_CODE if isinstance(ending.signal, Terminated) else INTERRUPTED_EXIT_CODE)
    raise ending.signal
