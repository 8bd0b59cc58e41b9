"""Colouring a film: decode → look → guess → smooth → render → encode, in segments that a killed run leaves whole."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2

from restore import __version__
from restore.checkpoint import find_checkpoint, sha256
from restore.colorizers import Engine, load_engine
from restore.errors import InputError, OutputError
from restore.files import check_writable
from restore.options import EngineOptions, VideoOptions
from restore.threads import ahead, map_in_threads, processors
from restore.video.assemble import assemble, container_format
from restore.video.check import Proof, check
from restore.video.codec import VideoCodec, choose_codec
from restore.video.color_frames import LEAD, RUN_UP, WINDOW, ColorSettings, color_frames
from restore.video.continuity import Continuity
from restore.video.encoder import encode_segment
from restore.video.film import Film, describe
from restore.video.journal import Journal, Plan, Runtime, Segment, fingerprint
from restore.video.reader import Frame, Losses, Reader
from restore.video.render import RenderedFrame, render

SEGMENT = 10 * WINDOW
"""Frames of a segment: what a killed run loses at most."""


@dataclass(frozen=True)
class FilmResult:
    """What became of a film."""

    output: Path
    frames: int
    seconds: float
    resumed_at: int
    proof: Proof
    losses: dict[str, Any]
    film: Film
    codec: VideoCodec
    engine: dict[str, Any]


OnFrame = Callable[[int, int | None], None]


def restore_film(
    path: Path,
    output: Path,
    options: VideoOptions,
    engine_options: EngineOptions,
    on_frame: OnFrame = lambda done, total: None,
    stopping: Callable[[], bool] = lambda: False,
) -> FilmResult | None:
    """Colour a film. None when `stopping` said yes: the same call goes on where it ended.

    Args:
        on_frame: called with the frames encoded so far and those in all, where that is known.

    Raises:
        RestoreError: what is wrong with the film, the output, the model or the options.
    """
    begin = time.monotonic()
    film = describe(path)
    container_format(output)
    codec = choose_codec(film, output, options.codec, options.crf, options.preset, options.pix_fmt)
    check_writable(output.parent)
    journal = Journal(output)
    work = _Work(film, codec, options, journal, on_frame, stopping)
    plan = _plan(film, codec, options, engine_options)
    runtime = journal.open(plan, restart=options.restart)
    done = journal.segments() if runtime else []
    engine = load_engine(_kept(engine_options, runtime), callers=1)
    if runtime is None:
        journal.begin(plan, Runtime(engine.dtype, engine.batch))
    segments = work.encode(engine, done)
    if segments is None:
        return None
    part = journal.folder / f"film{output.suffix}"
    assemble(part, film, segments)
    pts = [stamp for segment in segments for stamp in segment.pts]
    proof = check(part, film, pts)
    if output.exists() and not options.overwrite:
        raise OutputError(f"{output} has appeared meanwhile", "Move it away and run the same command again")
    part.replace(output)
    journal.remove()
    facts = {"model": engine.model_name, "sha256": engine.model_sha256, "device": engine.device, "dtype": engine.dtype}
    return FilmResult(
        output,
        len(pts),
        time.monotonic() - begin,
        sum(len(segment.pts) for segment in done),
        proof,
        segments[-1].losses,
        film,
        codec,
        facts,
    )


def _plan(film: Film, codec: VideoCodec, options: VideoOptions, engine_options: EngineOptions) -> Plan:
    settings: dict[str, float | str | None] = {
        "smooth": options.smooth,
        "saturation": options.saturation,
        "already_color": options.already_color,
        "stride": options.stride,
    }
    settings |= {"size": engine_options.size, "segment": SEGMENT}
    encoder = {"name": codec.name, "pixel_format": codec.pixel_format, **codec.options}
    return Plan(fingerprint(film.path), sha256(find_checkpoint(engine_options.model)), settings, encoder, __version__)


def _kept(options: EngineOptions, runtime: Runtime | None) -> EngineOptions:
    return replace(options, dtype=runtime.dtype, batch=runtime.batch) if runtime else options


@dataclass
class _Work:
    """What the stages of one film share."""

    film: Film
    codec: VideoCodec
    options: VideoOptions
    journal: Journal
    on_frame: OnFrame
    stopping: Callable[[], bool]
    _memory: Continuity = field(default_factory=Continuity)

    def encode(self, engine: Engine, done: list[Segment]) -> list[Segment] | None:
        """All segments; None when told to stop, the segments that are whole staying in the journal."""
        if done and done[-1].last:
            return done
        first = sum(len(segment.pts) for segment in done)
        reader = self._reader(done, first)
        self._memory = done[-1].memory if done else Continuity()
        segments = list(done)
        with contextlib.closing(self._rendered(reader, engine)) as frames:
            held = next(frames, None)
            while held is not None:
                number = len(segments)
                begun = first
                chunk = self._counted(chain([held], islice(frames, SEGMENT - 1)), begun)
                pts = encode_segment(self.journal.part(number), chunk, self.film, self.codec)
                if self.stopping():
                    return None
                first += len(pts)
                held = next(frames, None)
                last = held is None and not self.stopping()
                segments.append(self.journal.add(number, pts, reader.losses.as_json(), self._memory, last=last))
                if held is None and not last:
                    return None
        if not segments:
            raise InputError(f"{self.film.path} has no frame that can be decoded")
        return segments

    def _reader(self, done: list[Segment], first: int) -> Reader:
        if not done:
            return Reader(self.film)
        losses = Losses(**done[-1].losses)
        return Reader(self.film, first - RUN_UP, done[-1].pts[-RUN_UP], losses)

    def _rendered(self, reader: Reader, engine: Engine) -> Generator[RenderedFrame, None, None]:
        """The composition: every stage takes from the one before, and is ahead of it by a few frames at most."""
        jobs = processors()
        cv2.setNumThreads(1)
        keep = self.options.already_color == "keep"
        settings = ColorSettings(self.film.form, self.options.smooth, self.options.stride, keep, jobs)
        decoded: Iterator[Frame] = ahead(self._until_stopped(reader.frames()), LEAD)
        colored = ahead(color_frames(decoded, engine, settings, self._memory if reader.first_index else None), LEAD)
        return map_in_threads(
            lambda frame: render(frame, self.codec.form, self.codec.shift, self.options.saturation), colored, jobs
        )

    def _until_stopped(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self.stopping():
                return
            yield frame

    def _counted(self, frames: Iterator[RenderedFrame], begun: int) -> Iterator[RenderedFrame]:
        for number, frame in enumerate(frames, begun + 1):
            yield frame
            self._memory = frame.memory
            self.on_frame(number, self.film.frames)
