"""`restore eval video`: grey colour clips, colour them by the stages of `restore video`, and measure."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from restore import __version__
from restore.colorizers import Engine
from restore.errors import InputError, UsageError
from restore.evaluate import Broken, check_target
from restore.files import write_atomically
from restore.film_hue import NO_SHIFT, disturb, is_disturbed, shift_between
from restore.film_metrics import LEAST_FRAMES, PROTOCOL, FilmMeter, FilmScores, FrameFigures, Steadiness, compare
from restore.measures import finite
from restore.merge import YuvForm
from restore.metrics import Rgb
from restore.options import EngineOptions, VideoOptions
from restore.threads import ahead, map_in_threads, processors
from restore.tone import find_tone, has_color
from restore.video.color_frames import BLOCK, ColoredFrame, ColorSettings, color_frames
from restore.video.film import Film, describe
from restore.video.pipeline import load_film_engine
from restore.video.reader import Frame, Plane, Reader
from restore.video.render import render
from restore.video.rgb import grey_from_luma, rgb_from_planes

_SUFFIXES = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mpeg", ".mxf", ".ts", ".webm", ".y4m"))
# One frame in this many is looked at for colour; half of them must have some.
_TONE_STRIDE = 8

_Trio = tuple[ColoredFrame, ColoredFrame, tuple[Plane, Plane]]
OnFrame = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class FilmEvalOptions:
    """What is measured, and where the results go.

    Args:
        data: a folder of clips, or one.
        video: smoothing, stride and saturation; nothing else of it is looked at.
        count: so many frames of each clip, from its start; None takes all.
        report: a JSON file.
    """

    data: Path
    video: VideoOptions = field(default_factory=VideoOptions)
    count: int | None = None
    report: Path | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < LEAST_FRAMES:
            raise UsageError(f"--count {self.count} is too small", f"Give {LEAST_FRAMES} frames or more")


@dataclass(frozen=True)
class Clip:
    """A clip's figures.

    Args:
        scenes, scenes_disturbed: as many as were told apart, and as many in the same film with disturbed frames.
    """

    name: str
    width: int
    height: int
    lost_packets: int
    scenes: int
    scenes_disturbed: int
    scores: FilmScores


@dataclass(frozen=True)
class FilmEvaluation:
    """The result of a run.

    Args:
        grey: names of clips without colour; they say nothing about colouring, and are not in the scores.
        short: names of clips with too few frames.
        broken: clips that could not be read.
    """

    clips: list[Clip]
    grey: list[str]
    short: list[str]
    broken: list[Broken]
    engine: dict[str, Any]
    options: FilmEvalOptions
    engine_options: EngineOptions

    def mean(self) -> FilmScores:
        """Each figure's mean over the clips; frames and pairs are summed up."""
        scores = [clip.scores for clip in self.clips]
        return FilmScores(
            sum(score.frames for score in scores),
            _mean(score.psnr for score in scores),
            _mean(score.grey_psnr for score in scores),
            _mean_steadiness([score.model for score in scores]),
            _mean_steadiness([score.original for score in scores]),
            sum(score.pairs_left_out for score in scores),
            _mean_of_some(score.hue_shift for score in scores),
            _mean_of_some(score.ab_shift for score in scores),
        )

    def as_json(self) -> dict[str, Any]:
        """The report; figures that are not finite become null, which JSON can say."""
        video = self.options.video
        return {
            "version": __version__,
            "command": "eval video",
            "protocol": PROTOCOL,
            "model": {"name": self.engine["model_name"], "sha256": self.engine["model_sha256"]},
            "engine": {key: self.engine[key] for key in ("size", "device", "runtime", "dtype")},
            "options": {
                "data": str(self.options.data),
                "count": self.options.count,
                "smooth": video.smooth,
                "stride": video.stride,
                "saturation": video.saturation,
                **asdict(self.engine_options),
            },
            "clips": [
                {name: value for name, value in asdict(c).items() if name != "scores"} | _json(c.scores)
                for c in self.clips
            ],
            "mean": _json(self.mean()),
            "broken": [asdict(broken) for broken in self.broken],
            "grey_originals": self.grey,
            "too_short": self.short,
        }


def _json(scores: FilmScores) -> dict[str, Any]:
    figures = asdict(scores)
    parts = {name: finite(figures.pop(name)) for name in ("model", "original")}
    return finite(figures) | parts


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _mean_of_some(values: Iterable[float]) -> float:
    """Over the clips that have a figure: one that is all cuts has no warp error."""
    return _mean([value for value in values if math.isfinite(value)] or [math.nan])


def _mean_steadiness(all_of: list[Steadiness]) -> Steadiness:
    return Steadiness(
        _mean(one.colorfulness for one in all_of),
        _mean(one.cdc for one in all_of),
        *(_mean_of_some(getattr(one, name) for one in all_of) for name in ("warp_error", "hue_drift", "ab_drift")),
    )


def evaluate_films(
    options: FilmEvalOptions, engine_options: EngineOptions, on_frame: OnFrame = lambda name, done, total: None
) -> FilmEvaluation:
    """Measure a model on colour clips, and write the report that the options ask for.

    Args:
        on_frame: called with a clip's name, its frames measured so far, and those in all where that is known.

    Raises:
        InputError: no data, or no clip in it that can be measured.
        OutputError: the report can't be written, or would lie in the data.
        ModelError, DeviceError: see `load_engine`.
    """
    paths = _find_clips(options.data)
    if options.report is not None:
        check_target(options.report, options.data, paths)
    engine = load_film_engine(engine_options)
    cv2.setNumThreads(1)
    clips: list[Clip] = []
    grey: list[str] = []
    short: list[str] = []
    broken: list[Broken] = []
    for path in paths:
        try:
            film = describe(path)
            if not _has_color(film, options.count):
                grey.append(str(path))
                continue
            clip = _measure(film, engine, options, on_frame)
        except InputError as error:
            broken.append(Broken(str(path), error.message.removeprefix(f"{path} ")))
            continue
        if clip is None:
            short.append(str(path))
        else:
            clips.append(clip)
    if not clips:
        left_out = f"{len(broken)} can't be read, {len(grey)} have no colour, {len(short)} are too short"
        raise InputError(
            f"{options.data} has no clip that can be measured: {left_out}",
            f"The first: {broken[0].path} {broken[0].error}"
            if broken
            else f"Give colour clips of {LEAST_FRAMES} frames or more",
        )
    facts = {
        name: getattr(engine, name) for name in ("model_name", "model_sha256", "size", "device", "runtime", "dtype")
    }
    result = FilmEvaluation(clips, grey, short, broken, facts, options, engine_options)
    if options.report:
        text = json.dumps(result.as_json(), indent=2, allow_nan=False) + "\n"
        write_atomically(options.report, lambda stream: stream.write(text.encode()))
    return result


def _find_clips(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise InputError(f"{data} does not exist", "Give a folder of colour clips")
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{data} holds no clip", f"They end in {', '.join(sorted(_SUFFIXES))}")
    return found


def _has_color(film: Film, count: int | None) -> bool:
    looked = colored = 0
    for frame in islice(Reader(film).frames(), 0, count, _TONE_STRIDE):
        looked += 1
        if frame.chroma is not None:
            picture = Image.fromarray(rgb_from_planes((frame.luma, *frame.chroma), film.form))
            colored += has_color(find_tone(picture))
    return looked == 0 or 2 * colored >= looked


@dataclass
class _Work:
    """A clip that is coloured, and coloured again with some frames disturbed."""

    film: Film
    engine: Engine
    options: FilmEvalOptions
    scenes: tuple[int, int] = (0, 0)

    def figures(self, reader: Reader) -> Generator[FrameFigures, None, None]:
        """Each frame's: what the pipeline makes of the grey film, beside the film."""
        # The originals' chroma waits here while smoothing looks ahead: as many frames as that holds itself.
        originals: deque[tuple[Plane, Plane]] = deque()
        count = self.options.count
        colored = self._colored(_greyed(reader, count, originals))
        again = self._colored(_disturbed(_greyed(Reader(self.film), count, None), self.film.form))
        trios = ((frame, other, originals.popleft()) for frame, other in zip(colored, again, strict=False))
        yield from map_in_threads(self._figures, self._counted(trios), processors())

    def _colored(self, frames: Iterator[Frame]) -> Iterator[ColoredFrame]:
        video = self.options.video
        film = self.film
        settings = ColorSettings(film.form, video.smooth, video.stride, False, processors(), film.era)
        return ahead(color_frames(ahead(frames, BLOCK), self.engine, settings), BLOCK)

    def _counted(self, trios: Iterator[_Trio]) -> Iterator[_Trio]:
        for frame, again, original in trios:
            self.scenes = (frame.memory.scene, again.memory.scene)
            yield frame, again, original

    def _figures(self, trio: _Trio) -> FrameFigures:
        frame, again, chroma = trio
        luma, *result = render(frame, self.film.form, 0, self.options.video.saturation).planes
        original, coloured = self._rgb(luma, *chroma), self._rgb(luma, *result)
        shift, index = NO_SHIFT, frame.look.frame.index
        if is_disturbed(index):
            other = render(again, self.film.form, 0, self.options.video.saturation).planes
            shift = shift_between(coloured, self._rgb(*other), index)
        return compare(original, coloured, grey_from_luma(luma, self.film.form), shift)

    def _rgb(self, *planes: Plane) -> Rgb:
        luma, cb, cr = planes
        return rgb_from_planes((luma, cb, cr), self.film.form)


def _measure(film: Film, engine: Engine, options: FilmEvalOptions, on_frame: OnFrame) -> Clip | None:
    """Figures of a clip; None where it has too few frames."""
    meter = FilmMeter()
    reader, work = Reader(film), _Work(film, engine, options)
    expected = min(film.frames or math.inf, options.count or math.inf)
    with closing(work.figures(reader)) as figures:
        for one in figures:
            meter.add(one)
            on_frame(film.path.name, meter.frames, int(expected) if math.isfinite(expected) else None)
    if meter.frames < LEAST_FRAMES:
        return None
    return Clip(str(film.path), film.width, film.height, reader.losses.packets, *work.scenes, meter.scores())


def _greyed(reader: Reader, count: int | None, originals: deque[tuple[Plane, Plane]] | None) -> Iterator[Frame]:
    for frame in islice(reader.frames(), count):
        assert frame.chroma is not None  # `_has_color`
        if originals is not None:
            originals.append(frame.chroma)
        yield replace(frame, chroma=None)


def _disturbed(frames: Iterator[Frame], form: YuvForm) -> Iterator[Frame]:
    for frame in frames:
        white = form.black + form.luma_span
        yield replace(frame, luma=disturb(frame.luma, frame.index, form.black, white))
