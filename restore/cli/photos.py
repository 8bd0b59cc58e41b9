"""`restore photos`: parse, build the options, call, exit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.errors import CheckError, SomeFilesFailedError, UsageError
from restore.options import AlreadyColor, EngineOptions, EraChoice, Format, PhotoOptions, Style


def photos(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Photos, and folders of them.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the results. Default: <folder>-restored, or <stem>-restored<suffix> for a file."),
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name, a checkpoint file or the folder of a run.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Photos a step. Default: what suits the device.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the network's view in pixels. Default: the model's.")
    ] = None,
    style: Annotated[
        Style | None, typer.Option(help="natural (calm, steady) or vivid. Default: the model's own.")
    ] = None,
    era: Annotated[
        EraChoice,
        typer.Option(help="Colours of which time: period is before about 1970; auto goes by each file's data."),
    ] = "auto",
    saturation: Annotated[float, typer.Option(help="Factor on the colour: 0 is grey, 1 normal.")] = 1.0,
    calm: Annotated[float, typer.Option(help="Less colour where the model is unsure: 0 (off) to 1.")] = 0.0,
    dropout: Annotated[
        bool, typer.Option("--dropout/--no-dropout", help="Leave the noise of a GAN's generator on.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Format of the results.")] = "keep",
    quality: Annotated[int, typer.Option(help="Quality of JPEG and WebP, 1 to 100.")] = 95,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", help="Go into sub-folders.")] = True,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only files whose name or path fits. May be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Not files or folders that fit. May be repeated.")
    ] = None,
    already_color: Annotated[
        AlreadyColor, typer.Option(help="Photos in colour: copy as they are, leave out, or colour anew.")
    ] = "keep",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write results again that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write a report of every file.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Threads that read, and that write. Default: processors.")] = None,
    max_pixels: Annotated[
        int, typer.Option(metavar="MILLIONS", help="Refuse photos that claim more pixels than this.")
    ] = 500,
    keep_times: Annotated[
        bool, typer.Option("--keep-times", help="Give results the file times of their originals.")
    ] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance/--no-provenance", help="Say in each result's XMP that its colour is a guess.")
    ] = True,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the results again and compare them with their originals.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write a before/after picture beside each result.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page that shows every photo before and after.")
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Only show how one photo looks at several sizes, saturations and styles."
        ),
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Write a map beside each result of how sure the model is.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print a line for every file.")] = False,
) -> None:
    """Colour photos: a coloured copy of each, in the same tree of folders. Originals are never touched."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", "Give one of them")
    if verify and (dry_run or overwrite or compare or sheet or confidence):
        raise UsageError("--verify only reads", "Leave --dry-run, --overwrite, --compare, --sheet and --confidence out")
    if dry_run and (report or sheet):
        raise UsageError("--report and --sheet tell of a run, and --dry-run does none", "Leave one of them out")
    options = PhotoOptions(
        inputs=inputs,
        output=output,
        saturation=saturation,
        format=format,
        quality=quality,
        recursive=recursive,
        include=include or (),
        exclude=exclude or (),
        overwrite=overwrite,
        report=report,
        already_color=already_color,
        jobs=jobs,
        max_pixels=max_pixels,
        keep_times=keep_times,
        provenance=provenance,
        compare=compare,
        sheet=sheet,
        confidence=confidence,
    )
    engine_options = EngineOptions(model, device, batch, size, style, era, calm=calm, dropout=dropout)
    if sweep:
        _sweep(sweep, options, engine_options, alone=not (dry_run or verify))
        return
    if verify:
        _verify(options, quiet=quiet, verbose=verbose)
        return
    if dry_run:
        _estimate(options, engine_options, quiet=quiet)
        return
    _restore(options, engine_options, quiet=quiet, verbose=verbose)


def _estimate(options: PhotoOptions, engine_options: EngineOptions, *, quiet: bool) -> None:
    from restore.photos.dry_run import estimate_photos
    from restore.progress import say

    def note(text: str) -> None:
        if not quiet:
            say(text)

    for record in estimate_photos(options, engine_options, note):
        if record.status == "done":
            say(f"{record.path} -> {record.output}")
        elif not quiet or record.status == "failed":
            say(f"{record.path}: {record.status}: {record.reason}", error=record.status == "failed")


def _sweep(path: Path, options: PhotoOptions, engine_options: EngineOptions, *, alone: bool) -> None:
    given = (options.output, options.report, options.sheet, options.compare)
    if not alone or any(given) or options.confidence or options.saturation != 1.0:
        raise UsageError(
            "--sweep only draws a sheet, at saturations of its own",
            "Leave --saturation, --output, --report, --sheet, --compare, --confidence, --dry-run and --verify out",
        )
    photo, *others = options.inputs
    if others or photo.is_dir():
        raise UsageError("--sweep shows one photo", "Name one file")
    from restore.photos.sweep import check_sweep_path, write_sweep

    check_sweep_path(path, photo, overwrite=options.overwrite)
    write_sweep(path, photo, engine_options, options.max_pixels * 1_000_000)


def _verify(options: PhotoOptions, *, quiet: bool, verbose: bool) -> None:
    from restore.photos.verify import verify_photos
    from restore.progress import make_progress
    from restore.stopping import stop_gently

    with stop_gently() as stopping:
        summary = verify_photos(options, make_progress(quiet=quiet, verbose=verbose), stopping)
    if summary.failed:
        raise CheckError(
            f"{summary.failed} of {summary.found} results are not what they should be",
            "Their names and reasons are above; run the same command without --verify to make missing ones again, "
            "with --overwrite for damaged ones",
        )


def _restore(options: PhotoOptions, engine_options: EngineOptions, *, quiet: bool, verbose: bool) -> None:
    import warnings

    from restore.memory import keep_freed_memory
    from restore.photos.pipeline import restore_photos
    from restore.progress import make_progress
    from restore.stopping import stop_gently

    # What Pillow warns of (odd metadata, large scans) either doesn't matter here or comes as an error as well.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    keep_freed_memory()
    with stop_gently() as stopping:
        summary = restore_photos(options, engine_options, make_progress(quiet=quiet, verbose=verbose), stopping)
    if summary.failed:
        of = f"{summary.failed} of {summary.found} photos"
        raise SomeFilesFailedError(f"{of} could not be coloured", "Their names and reasons are above")
