"""`restore models`: what models there are, what they say of themselves, and writing them for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Models: list them, describe them, export them.", no_args_is_help=True)

ModelOption = Annotated[str, typer.Option(help="A model's name, a checkpoint file or the folder of a run.")]


@app.command("list")
def list_models() -> None:
    """List the models in the package."""
    from restore.model_files import shipped_models

    for path in shipped_models():
        typer.echo(f"{path.stem:12s} {path.stat().st_size / 1e6:5.1f} MB  {path}")


@app.command()
def info(model: Annotated[str, typer.Argument(help="A model's name, file or run folder.")] = "default") -> None:
    """Tell what a model is: network, working size, styles, training and licence."""
    from restore.colorizers.describe import describe

    typer.echo(describe(model).as_text())


@app.command()
def export(
    model: ModelOption = "default",
    format: Annotated[Literal["onnx"], typer.Option(help="Format to write.")] = "onnx",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write. Default: <name>.onnx, here.")
    ] = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="Store weights in half precision: half the size, and colours 0.2 off at most."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a model for other runtimes: luma in, ab out, any batch and size. `--model FILE.onnx` takes it."""
    from restore.errors import OutputError, UsageError
    from restore.files import check_writable, exists
    from restore.model_files import COMMUNITY_SUFFIXES, find_checkpoint

    checkpoint = find_checkpoint(model)
    if checkpoint.suffix.lower() == ".onnx":
        raise UsageError(f"{checkpoint} is exported already", "Give a checkpoint")
    if checkpoint.suffix.lower() in COMMUNITY_SUFFIXES:
        raise UsageError(
            f"{checkpoint} is not of restore's own networks, which are exported", "Give a .safetensors file"
        )
    target = output or Path(f"{checkpoint.stem}.onnx")
    if target.suffix.lower() != ".onnx":
        raise UsageError(f"--output {target} does not end in .onnx", f"Give {target.with_suffix('.onnx')}")
    if exists(target) and not overwrite:
        raise OutputError(f"{target} is there already", "Give another --output, or --overwrite")
    check_writable(target.parent)

    from restore.colorizers.onnx_export import export_onnx

    export_onnx(checkpoint, target, half=half)
    typer.echo(f"wrote {target}, {target.stat().st_size / 1e6:.1f} MB")
