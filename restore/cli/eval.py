"""`restore eval`: parse options, measure, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore.errors import SomeFilesFailedError
from restore.options import EngineOptions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from restore.evaluate import Evaluation

_NAMED = 10  # broken and grey pictures that are named on the screen; the report names all

app = typer.Typer(help="Measure a model.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure a model."""  # with a callback, `photos` stays a command of its own


@app.command()
def photos(
    data: Annotated[Path, typer.Option(help="Folder of colour photos, tar shards, or a text file of paths.")],
    model: Annotated[str, typer.Option(help="A shipped model, a checkpoint file, or the folder of a run.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Pictures at a time. [default: chosen]")] = None,
    size: Annotated[int | None, typer.Option(help="Working size in pixels. [default: the model's]")] = None,
    saturation: Annotated[float, typer.Option(help="Factor on the colour.")] = 1.0,
    count: Annotated[int | None, typer.Option(help="Measure so many, drawn by --seed. [default: all]")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write samples (grey, ours, original) to this PNG.")] = None,
) -> None:
    """Grey colour photos, colour them again, and compare: PSNR, colourfulness, ab RMSE, AuC; all-grey beside it."""
    from rich.console import Console
    from rich.progress import Progress

    from restore.evaluate import EvalOptions, evaluate_photos

    engine_options = EngineOptions(model=model, device=device, batch=batch, size=size)
    options = EvalOptions(data, saturation=saturation, count=count, seed=seed, report=report, sheet=sheet)
    messages = Console(stderr=True, highlight=False)
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("measuring", total=None)
        result = evaluate_photos(
            options, engine_options, lambda done, total: bar.update(task, completed=done, total=total)
        )
    _print(result, Console(highlight=False))
    if result.broken:
        raise SomeFilesFailedError(f"{len(result.broken)} pictures of {data} could not be read", "They are named above")


def _print(result: Evaluation, console: Console) -> None:
    from restore.metrics import PROTOCOL
    from restore.progress import say

    engine = result.engine
    console.print(_table(result, plain=not console.is_terminal))
    lines = [
        f"{result.scores.count} pictures; model {engine['model_name']} ({engine['model_sha256'][:12]}) at working size "
        f"{engine['size']}, saturation {result.options.saturation:g}, on {engine['device']} in {engine['dtype']}",
        f"Protocol: {PROTOCOL}",
    ]
    if result.grey:
        lines.append(f"Left out: {len(result.grey)} originals without colour")
        lines += _some([f"  {name}" for name in result.grey])
    if result.broken:
        lines.append(f"Could not be read: {len(result.broken)}")
        lines += _some([f"  {broken.path}: {broken.error}" for broken in result.broken])
    for path in (result.options.report, result.options.sheet):
        if path:
            lines.append(f"Written: {path}")
    for line in lines:
        say(line)


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - _NAMED
    return lines[:_NAMED] + ([f"  and {more} more (--report names all)"] if more > 0 else [])


def _table(result: Evaluation, plain: bool) -> Table:
    from rich import box
    from rich.table import Table

    scores = result.scores
    model, grey = scores.model, scores.grey
    table = Table(box=None if plain else box.SIMPLE_HEAD)
    table.add_column("")
    for title in ("model", "all grey", "difference", "originals"):
        table.add_column(title, justify="right")

    def row(name: str, ours: float, baseline: float, original: str = "", digits: int = 2) -> None:
        figures = (f"{ours:.{digits}f}", f"{baseline:.{digits}f}", f"{ours - baseline:+.{digits}f}")
        table.add_row(name, *figures, original)

    row("PSNR, dB", model.psnr, grey.psnr)
    row("colourfulness", model.colorfulness, grey.colorfulness, f"{scores.original_colorfulness:.2f}")
    row("  % of originals'", scores.colorfulness_percent, 0.0, "100.0", digits=1)
    variant = f"{scores.original_colorfulness_abs:.2f}"
    row("colourfulness, |rg| |yb|", model.colorfulness_abs, grey.colorfulness_abs, variant)
    row("ab RMSE", model.ab_rmse, grey.ab_rmse)
    row("AuC, %", model.auc, grey.auc)
    row("AuC rebalanced, %", model.auc_rebalanced, grey.auc_rebalanced)
    return table
