"""`restore video`: parse, build the options, call, exit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from restore.errors import SomeFilesFailedError, UsageError
from restore.options import EngineOptions, EraChoice, FilmInColor, FilmsOptions, Style, VideoOptions


def seconds(text: str) -> float:
    """Seconds, or hours, minutes and seconds with colons between them."""
    total = 0.0
    for place in text.split(":"):
        if not re.fullmatch(r"\d+(\.\d*)?", place):
            raise typer.BadParameter(f"{text} is no time. Give seconds, or h:mm:ss as in 1:02:30")
        total = total * 60 + float(place)
    return total


def video(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Films, and folders of them.")],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="The result of a single film, or the folder for results. "
            "Default: <stem>-restored<suffix> beside a film, <folder>-restored for a folder.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name, a checkpoint file or the folder of a run.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Frames a step. Default: what suits the device.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the network's view in pixels. Default: the model's.")
    ] = None,
    smooth: Annotated[float, typer.Option(help="Strength of smoothing in time, 0 (off) to 1.")] = 0.8,
    style: Annotated[
        Style | None, typer.Option(help="natural (calm, steady) or vivid. Default: the model's own.")
    ] = None,
    era: Annotated[
        EraChoice,
        typer.Option(help="Colours of which time. auto: period (before about 1970), and modern for films of phones."),
    ] = "auto",
    saturation: Annotated[float, typer.Option(help="Factor on the colour: 0 is grey, 1 normal.")] = 1.0,
    calm: Annotated[float, typer.Option(help="Less colour where the model is unsure: 0 (off) to 1.")] = 0.0,
    codec: Annotated[
        str | None,
        typer.Option(
            help="libx264, libx265, libsvtav1, libvpx-vp9, prores_ks, ffv1, h264_nvenc … "
            "Default: libx264; libvpx-vp9 for .webm."
        ),
    ] = None,
    crf: Annotated[
        float | None, typer.Option(help="Constant quality of the codec; lower is better and larger.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Speed of the codec, such as fast or slow.")] = None,
    pix_fmt: Annotated[
        str | None,
        typer.Option("--pix-fmt", help="Pixel format. Default: the film's own, as near as the codec has it."),
    ] = None,
    already_color: Annotated[
        FilmInColor, typer.Option(help="Scenes in colour: leave them as they are, or colour anew.")
    ] = "keep",
    start: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="T", help="Begin at this time: seconds, or h:mm:ss."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(parser=seconds, metavar="T", help="Length to colour, written like --start.")
    ] = None,
    deinterlace: Annotated[
        bool, typer.Option("--deinterlace", help="Turn interlaced frames into progressive ones.")
    ] = False,
    preview: Annotated[
        int | None, typer.Option(metavar="N", help="Write N stills before and after as one PNG, and no film.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not where an earlier run ended.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make results again that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate time and size, and write nothing.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write a report of every film.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", help="Go into sub-folders.")] = True,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only files whose name or path fits. May be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Not files or folders that fit. May be repeated.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print a line for every file found.")] = False,
) -> None:
    """Colour films. Luma, sound, subtitles and timing stay as they are. Stopped or killed: the same command goes on."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", "Give one of them")
    if dry_run and report:
        raise UsageError("--report tells of a run, and --dry-run does none", "Give one of them")
    options = FilmsOptions(
        inputs=inputs,
        output=output,
        video=VideoOptions(
            smooth=smooth,
            saturation=saturation,
            already_color=already_color,
            deinterlace=deinterlace,
            start=start,
            duration=duration,
            codec=codec,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
            restart=restart,
            overwrite=overwrite,
        ),
        recursive=recursive,
        include=include or (),
        exclude=exclude or (),
        dry_run=dry_run,
        preview=preview,
        report=report,
    )
    _restore(
        options,
        EngineOptions(model=model, device=device, batch=batch, size=size, style=style, era=era, calm=calm),
        quiet=quiet,
        verbose=verbose,
    )


def _restore(options: FilmsOptions, engine_options: EngineOptions, *, quiet: bool, verbose: bool) -> None:
    from restore.stopping import stop_gently
    from restore.video.films import restore_films
    from restore.video.progress import make_film_progress

    with stop_gently() as stopping:
        summary = restore_films(options, engine_options, make_film_progress(quiet=quiet, verbose=verbose), stopping)
    if summary.failed:
        of = f"{summary.failed} of {summary.found} films"
        raise SomeFilesFailedError(f"{of} could not be coloured", "Their names and reasons are above")
