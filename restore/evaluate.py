"""`restore eval photos`: grey the pictures of a data set, colour them as `restore photos` does, and measure."""

from __future__ import annotations

import io
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from restore import __version__
from restore.colorizers import Engine, load_engine
from restore.era import era_of_picture
from restore.errors import InputError, OutputError, UsageError
from restore.files import check_writable, write_atomically
from restore.hint_metrics import random_hints
from restore.measures import Figures, Guess, Measures
from restore.merge import merge_rgb
from restore.metrics import PhotoScores, Rgb, is_grey
from restore.options import MAX_SATURATION, EngineOptions, Era
from restore.sheet import contact_sheet, thumbnail
from restore.sources import DECODE_ERRORS, PhotoSource, open_source
from restore.stills import Still, guess_shares, look

SHEET_LABELS = ("grey", "ours", "original")
_SHEET_ROWS = 12
_SHEET_CELL = 224
_DECODERS = 2
MAX_HINTS = 10_000
_AHEAD = 8  # pictures decoded before they are needed


@dataclass(frozen=True)
class EvalOptions:
    """What is measured, and where the results go.

    Args:
        data: what `restore.sources.open_source` takes.
        saturation: factor on the predicted chroma.
        count: so many pictures, drawn by `seed`; None takes all.
        report: a JSON file.
        sheet: a PNG with samples: grey, ours, original.
        calibration: measure also whether the model errs as much as it says.
        hints: tell the model so many true colours of each picture, at random places.
        frechet: measure also the Fréchet distance over the packaged encoder's features, which takes time.
        inception: measure also FID, with the weights in this file.
    """

    data: Path
    saturation: float = 1.0
    count: int | None = None
    seed: int = 0
    report: Path | None = None
    sheet: Path | None = None
    calibration: bool = False
    hints: int = 0
    frechet: bool = False
    inception: Path | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.saturation <= MAX_SATURATION:
            raise UsageError(f"--saturation {self.saturation:g} is out of range", f"Give 0 to {MAX_SATURATION:g}")
        if self.count is not None and self.count < 1:
            raise UsageError(f"--count {self.count} is too small", "Give 1 or more")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} is negative", "Give 0 or more")
        if not 0 <= self.hints <= MAX_HINTS:
            raise UsageError(f"--hints {self.hints} is out of range", f"Give 0 to {MAX_HINTS}")
        if self.calibration and self.saturation != 1.0:
            raise UsageError("--calibration measures the guess as it is", "Leave --saturation out")


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read, and why."""

    path: str
    error: str


@dataclass
class Evaluation:
    """The result of a run.

    Args:
        broken: pictures that could not be read.
        grey: names of originals without colour; they say nothing about colouring, and are not in the figures.
        eras: how many pictures were given the palette of each; none for a model that knows no eras.
    """

    figures: Figures
    broken: list[Broken]
    grey: list[str]
    engine: dict[str, Any]
    options: EvalOptions
    engine_options: EngineOptions
    eras: dict[Era, int]

    @property
    def scores(self) -> PhotoScores:
        """What is always measured."""
        return self.figures.photos

    def as_json(self) -> dict[str, Any]:
        """The report."""
        options = {**asdict(self.options), **asdict(self.engine_options)}
        return {
            "version": __version__,
            "command": "eval photos",
            "protocol": self.figures.protocol,
            "pictures": self.scores.count,
            "eras": self.eras,
            "model": {"name": self.engine["model_name"], "sha256": self.engine["model_sha256"]},
            "engine": {key: self.engine[key] for key in ("size", "device", "runtime", "dtype")},
            "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
            **self.figures.as_json(),
            "broken": [asdict(broken) for broken in self.broken],
            "grey_originals": self.grey,
        }


@dataclass
class _Sample:
    """One decoded picture: the original, the luma that is coloured, and how the network sees it."""

    original: Rgb
    luma: npt.NDArray[np.uint8]
    still: Still


@dataclass
class _Intake:
    """Decodes ahead in threads, in order; keeps count of what can't be measured."""

    source: PhotoSource
    engine: Engine
    hints: int = 0
    seed: int = 0
    broken: list[Broken] = field(default_factory=list)
    grey: list[str] = field(default_factory=list)

    def samples(self) -> Iterator[_Sample]:
        pending: deque[Future[_Sample | Broken | None]] = deque()
        pool = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        try:
            for index in range(len(self.source) + _AHEAD):
                if index < len(self.source):
                    pending.append(pool.submit(self._decode, index))
                if index >= _AHEAD:
                    sample = pending.popleft().result()
                    if isinstance(sample, _Sample):
                        yield sample
                    elif sample is None:
                        self.grey.append(self.source.name(index - _AHEAD))
                    else:
                        self.broken.append(sample)
        finally:
            pool.shutdown(cancel_futures=True)

    def _decode(self, index: int) -> _Sample | Broken | None:
        try:
            with Image.open(io.BytesIO(self.source.read(index))) as picture:
                era = self.engine.era_for(era_of_picture(picture))
                original = None if _is_grey_mode(picture) else ImageOps.exif_transpose(picture).convert("RGB")
                picture.load()
        except DECODE_ERRORS as error:
            reason = error.message if isinstance(error, InputError) else str(error) or type(error).__name__
            return Broken(self.source.name(index), reason.replace("<_io.BytesIO object", "<data"))
        if original is None:
            return None
        rgb = np.asarray(original)
        if is_grey(rgb):
            return None
        luma = np.asarray(original.convert("L"))
        still = look(luma, self.engine.size, era=era)
        if self.hints:
            told = random_hints(still.area.of(rgb), self.hints, self.engine.size, (self.seed, index))
            still = replace(still, hints=told)
        return _Sample(rgb, luma, still)


def _is_grey_mode(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16")


def evaluate_photos(
    options: EvalOptions, engine_options: EngineOptions, on_progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Measure a model on a data set, and write the report and the sheet that the options ask for.

    Args:
        on_progress: called with (pictures done, pictures in all).

    Raises:
        InputError: no data, no picture in it that can be measured, or a file of weights that holds something else.
        OutputError: the report or the sheet can't be written, or would lie in the data.
        MissingDependencyError: the Fréchet distance, and the extra `train` is not installed.
        ModelError, DeviceError: see `load_engine`.
    """
    source = open_source(options.data)
    for path in (options.report, options.sheet):
        if path is not None:
            check_target(path, options.data, (Path(source.name(i)) for i in range(len(source))))
    if options.count is not None and options.count < len(source):
        chosen = np.random.default_rng(options.seed).permutation(len(source))[: options.count]
        source = source.select(np.sort(chosen))
    if options.calibration and engine_options.calm:
        raise UsageError("--calibration measures the guess as it is", "Leave --calm out")
    engine = load_engine(engine_options)
    if options.hints:
        engine.check_takes_hints("--hints")
    done = 0
    measures = Measures(engine, options.calibration, options.frechet, options.inception)
    intake = _Intake(source, engine, options.hints, options.seed)
    rows: list[tuple[Rgb, Rgb, Rgb]] = []
    eras: Counter[Era] = Counter()

    samples = intake.samples()
    while group := list(islice(samples, engine.batch)):
        for sample, (coloured, guess) in zip(group, _coloured(engine, group, options), strict=True):
            # Spread over the data: the next row once so many pictures have gone by.
            if options.sheet and done * _SHEET_ROWS >= len(rows) * len(source) and len(rows) < _SHEET_ROWS:
                grey = np.repeat(sample.luma[..., None], 3, axis=2)
                rows.append(_thumbnails(grey, coloured, sample.original))
            eras.update([sample.still.era] if sample.still.era else [])
            measures.add(sample.original, sample.luma, coloured, guess)
            done += 1
        if on_progress:
            on_progress(done + len(intake.broken) + len(intake.grey), len(source))
    if done == 0:
        raise InputError(
            f"{options.data} has no picture that can be measured: "
            f"{len(intake.broken)} can't be read, {len(intake.grey)} have no colour",
            f"The first: {intake.broken[0].path}: {intake.broken[0].error}"
            if intake.broken
            else "Give colour pictures",
        )
    facts = {
        name: getattr(engine, name) for name in ("model_name", "model_sha256", "size", "device", "runtime", "dtype")
    }
    result = Evaluation(measures.figures(), intake.broken, intake.grey, facts, options, engine_options, dict(eras))
    if options.sheet:
        contact_sheet(options.sheet, rows, SHEET_LABELS, _SHEET_CELL)
    if options.report:
        text = json.dumps(result.as_json(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.report, lambda stream: stream.write(text.encode()))
    return result


def _coloured(engine: Engine, group: list[_Sample], options: EvalOptions) -> Iterator[tuple[Rgb, Guess]]:
    """Results, (H, W, 3) each, and what they are made of."""
    guesses = guess_shares(engine, [sample.still for sample in group], doubt=options.calibration)
    for sample, (guess, shares) in zip(group, guesses, strict=True):
        coloured = merge_rgb(sample.luma, sample.still.chroma(guess, options.saturation))
        yield np.asarray(coloured, np.uint8), Guess(sample.still, guess, shares)


def _thumbnails(*pictures: Rgb) -> tuple[Rgb, Rgb, Rgb]:
    grey, ours, original = (thumbnail(picture, _SHEET_CELL) for picture in pictures)
    return grey, ours, original


def check_target(path: Path, data: Path, originals: Iterable[Path]) -> None:
    """Refuse, before any work, a result that can't be written or that would lie among the originals.

    Raises:
        OutputError: so.
    """
    target = path.resolve()
    if path.is_dir():
        raise OutputError(f"{path} is a folder", "Give the name of a file")
    inside = data.resolve() in (target, *target.parents)
    if inside or (target.exists() and any(original.resolve() == target for original in originals)):
        raise OutputError(f"{path} lies in the data that is measured", "Write it somewhere else")
    check_writable(target.parent)
