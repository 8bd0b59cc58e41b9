"""`restore eval`: parse options, measure, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore.errors import SomeFilesFailedError
from restore.options import EngineOptions, EraChoice, Style, VideoOptions
from restore.progress import printable, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from restore.cross_entropy import CrossEntropy
    from restore.evaluate import Evaluation
    from restore.evaluate_film import FilmEvaluation
    from restore.film_metrics import FilmScores

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
    style: Annotated[
        Style | None, typer.Option(help="natural (calm, steady) or vivid. Default: the model's own.")
    ] = None,
    era: Annotated[
        EraChoice,
        typer.Option(help="Colours of which time: period is before about 1970; auto goes by each file's data."),
    ] = "auto",
    saturation: Annotated[float, typer.Option(help="Factor on the colour.")] = 1.0,
    calm: Annotated[float, typer.Option(help="Less colour where the model is unsure: 0 (off) to 1.")] = 0.0,
    dropout: Annotated[
        bool, typer.Option("--dropout/--no-dropout", help="Leave the noise of a GAN's generator on.")
    ] = False,
    count: Annotated[int | None, typer.Option(help="Measure N pictures, drawn by --seed. [default: all]")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write samples (grey, ours, original) to this PNG.")] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Measure also whether the model errs as much as it says.")
    ] = False,
    hints: Annotated[int, typer.Option(help="Tell the model N true colours of each picture, drawn by --seed.")] = 0,
    frechet: Annotated[
        bool,
        typer.Option(
            "--frechet",
            help="Measure also a Frechet distance, over the features of the encoder that the extra `train` brings. "
            "It ranks models here; it is no published FID.",
        ),
    ] = False,
    inception: Annotated[
        Path | None, typer.Option(help="Measure also FID, with the weights in this file (pt_inception-2015-12-05).")
    ] = None,
) -> None:
    """Grey colour photos, colour them again, and compare: how near, how colourful, how believable; all-grey beside."""
    from rich.console import Console
    from rich.progress import Progress

    from restore.evaluate import EvalOptions, evaluate_photos

    engine_options = EngineOptions(model, device, batch, size, style, era, calm=calm, dropout=dropout)
    options = EvalOptions(
        data,
        saturation=saturation,
        count=count,
        seed=seed,
        report=report,
        sheet=sheet,
        calibration=calibration,
        hints=hints,
        frechet=frechet,
        inception=inception,
    )
    messages = Console(stderr=True, highlight=False)
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("measuring", total=None)
        result = evaluate_photos(
            options, engine_options, lambda done, total: bar.update(task, completed=done, total=total)
        )
    _print(result, Console(highlight=False))
    if result.broken:
        raise SomeFilesFailedError(f"{len(result.broken)} pictures of {data} could not be read", "They are named above")


@app.command()
def video(
    data: Annotated[Path, typer.Option(help="Folder of colour clips, or one clip.")],
    model: Annotated[str, typer.Option(help="A shipped model, a checkpoint file, or the folder of a run.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    size: Annotated[int | None, typer.Option(help="Working size in pixels. [default: the model's]")] = None,
    smooth: Annotated[float, typer.Option(help="Smoothing in time, 0 (off) to 1.")] = VideoOptions.smooth,
    stride: Annotated[int, typer.Option(help="The network sees one frame in N.")] = VideoOptions.stride,
    style: Annotated[
        Style | None, typer.Option(help="natural (calm, steady) or vivid. Default: the model's own.")
    ] = None,
    era: Annotated[
        EraChoice,
        typer.Option(help="Colours of which time. auto: period (before about 1970), and modern for films of phones."),
    ] = "auto",
    saturation: Annotated[float, typer.Option(help="Factor on the colour.")] = VideoOptions.saturation,
    calm: Annotated[float, typer.Option(help="Less colour where the model is unsure: 0 (off) to 1.")] = 0.0,
    count: Annotated[int | None, typer.Option(help="Measure the first N frames of each clip. [default: all]")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    """Grey colour clips, colour them again, and compare: PSNR, colourfulness; CDC, warp error beside the originals'."""
    from rich.console import Console
    from rich.progress import Progress

    from restore.evaluate_film import FilmEvalOptions, evaluate_films

    engine_options = EngineOptions(model=model, device=device, size=size, style=style, era=era, calm=calm)
    video_options = VideoOptions(smooth=smooth, stride=stride, saturation=saturation)
    options = FilmEvalOptions(data, video_options, count, report)
    messages = Console(stderr=True, highlight=False)
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("measuring", total=None)
        result = evaluate_films(
            options,
            engine_options,
            lambda name, done, total: bar.update(task, description=printable(name), completed=done, total=total),
        )
    _print_film(result)
    if result.broken:
        raise SomeFilesFailedError(f"{len(result.broken)} clips of {data} could not be read", "They are named above")


def _print_film(result: FilmEvaluation) -> None:
    from restore.film_metrics import PROTOCOL

    engine, video = result.engine, result.options.video
    rows = [(Path(clip.name).name, clip.scores) for clip in result.clips]
    for line in _film_table([*rows, ("mean", result.mean())]):
        say(line)
    say(
        f"{len(rows)} clips; model {engine['model_name']} ({engine['model_sha256'][:12]}) at working size "
        f"{engine['size']}, smooth {video.smooth:g}, stride {video.stride}, saturation {video.saturation:g}, "
        f"calm {result.engine_options.calm:g}, era {result.engine_options.era}, "
        f"on {engine['device']} by {engine['runtime']} in {engine['dtype']}"
    )
    say(
        f"Scenes told apart: {sum(clip.scenes for clip in result.clips)}, with disturbed frames "
        f"{sum(clip.scenes_disturbed for clip in result.clips)}"
    )
    say(f"Protocol: {PROTOCOL}")
    lost = sum(clip.lost_packets for clip in result.clips)
    if lost:
        say(f"Could not be decoded: {lost} packets of the clips above")
    for title, names in (
        ("Left out: {} clips without colour", result.grey),
        ("Left out: {} clips that are too short", result.short),
        ("Could not be read: {}", [f"{broken.path} {broken.error}" for broken in result.broken]),
    ):
        if names:
            for line in [title.format(len(names)), *_some([f"  {name}" for name in names])]:
                say(line)
    if result.options.report:
        say(f"Written: {result.options.report}")


def _film_table(rows: list[tuple[str, FilmScores]]) -> list[str]:
    """Lines of equal columns: as wide as the longest figure, so that none is cut off."""
    titles = "clip frames PSNR grey CF orig. % CDC orig. ratio warp orig. drift orig. shift"
    cells: list[tuple[str, ...]] = [tuple(titles.split())]
    for name, scores in rows:
        ours, theirs = scores.model, scores.original
        cells.append(
            (
                printable(name),
                str(scores.frames),
                f"{scores.psnr:.2f}",
                f"{scores.grey_psnr:.2f}",
                f"{ours.colorfulness:.2f}",
                f"{theirs.colorfulness:.2f}",
                _ratio(100 * ours.colorfulness, theirs.colorfulness, 1),
                f"{ours.cdc:.5f}",
                f"{theirs.cdc:.5f}",
                _ratio(ours.cdc, theirs.cdc, 2),
                f"{ours.warp_error:.2f}",
                f"{theirs.warp_error:.2f}",
                f"{ours.hue_drift:.1f}°",
                f"{theirs.hue_drift:.1f}°",
                f"{scores.hue_shift:.1f}°",
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]


def _ratio(value: float, reference: float, digits: int) -> str:
    return f"{value / reference:.{digits}f}" if reference else "–"


def _print(result: Evaluation, console: Console) -> None:
    engine, figures = result.engine, result.figures
    console.print(_table(result, plain=not console.is_terminal))
    lines = [
        f"{result.scores.count} pictures; model {engine['model_name']} ({engine['model_sha256'][:12]}) at working size "
        f"{engine['size']}, saturation {result.options.saturation:g}, calm {result.engine_options.calm:g}, "
        f"{_eras(result)}on {engine['device']} by {engine['runtime']} in {engine['dtype']}",
        f"Protocol: {figures.protocol}",
    ]
    if figures.cross_entropy:
        lines.insert(0, _entropies(figures.cross_entropy))
    if result.grey:
        lines.append(f"Left out: {len(result.grey)} originals without colour")
        lines += _some([f"  {name}" for name in result.grey])
    if result.broken:
        lines.append(f"Could not be read: {len(result.broken)}")
        lines += _some([f"  {broken.path}: {broken.error}" for broken in result.broken])
    if figures.calibration:
        lines += ["How far off the colour is, in Lab units, by how far off it is said to be:"]
        lines += [f"  {'said':>13s}  {'mean':>5s}  {'measured':>8s}"]
        lines += [
            f"  {f'{group.least:.1f} to {group.most:.1f}':>13s}  {group.stated:5.1f}  {group.measured:8.1f}"
            for group in figures.calibration.groups()
        ]
        lines += [f"  rank correlation {figures.calibration.rank_correlation():.3f}"]
    for path in (result.options.report, result.options.sheet):
        if path:
            lines.append(f"Written: {path}")
    for line in lines:
        say(line)


def _entropies(figures: CrossEntropy) -> str:
    return (
        f"Cross-entropy, nats: natural {figures.natural:.3f}, balanced {figures.balanced:.3f}; of the best one "
        f"guess for all pixels: {figures.natural_known:.3f} and {figures.balanced_known:.3f}"
    )


def _eras(result: Evaluation) -> str:
    counts = [f"{count} {era}" for era, count in sorted(result.eras.items())]
    return f"era {result.engine_options.era} ({', '.join(counts)}), " if counts else ""


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
    if result.figures.hints:
        told = result.figures.hints
        row(f"error at {result.options.hints} hints, ab", told.mean_error, told.mean_chroma)
    seen, unseen = scores.plausibility, scores.grey_plausibility
    row("false magenta, % of pixels", seen.false_magenta, unseen.false_magenta)
    row("  pictures with more than 5 %", seen.spotted, unseen.spotted, digits=0)
    row("magenta, % of pixels", seen.magenta, unseen.magenta, f"{seen.original_magenta:.2f}")
    row("wrong hue, % of pixels", seen.wrong_hue, unseen.wrong_hue)
    row("palette distance", seen.palette_distance, unseen.palette_distance, digits=3)
    for name, distances in (
        ("Frechet distance, packaged encoder", result.figures.frechet),
        ("FID", result.figures.fid),
    ):
        if distances:
            row(name, distances.model, distances.grey)
    return table
