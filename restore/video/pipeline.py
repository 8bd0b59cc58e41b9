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
from restore.colorizers import Engine, LoadEngine, load_engine
from restore.colorizers.own import with_own_choices
from restore.errors import CheckError, InputError, OutputError
from restore.files import check_writable, exists, is_folder, output_error
from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, VideoOptions, effective
from restore.stopping import Stopped
from restore.threads import ahead, map_in_threads, processors
from restore.video.assemble import assemble, time_shift
from restore.video.check import Proof, check, check_luma
from restore.video.codec import VideoCodec, choose_codec
from restore.video.color_frames import BLOCK, RUN_UP, WINDOW, ColorSettings, color_frames
from restore.video.encoder import encode_segment
from restore.video.film import Film, cut_out, describe
from restore.video.film_memory import Memory
from restore.video.journal import Journal, Plan, Runtime, Segment, fingerprint
from restore.video.reader import Frame, Losses, Reader
from restore.video.render import RenderedFrame, render
from restore.video.streams import check_container, container_format

SEGMENT = 10 * WINDOW
"""Frames of a segment: what a killed run loses at most."""
# One thread of the network's keeps pace with this many that encode, at 1080p.
_PROCESSORS_PER_THREAD = 8


@dataclass(frozen=True)
class FilmResult:
    """What became of a film."""

    output: Path
    frames: int
    seconds: float
    resumed_at: int
    scenes: int
    proof: Proof
    losses: dict[str, Any]
    notes: tuple[str, ...]
    film: Film
    codec: VideoCodec
    engine: dict[str, Any]


OnFrame = Callable[[int, int | None, int], None]


@dataclass(frozen=True)
class Job:
    """A film that was looked at, and what an earlier run has left of it. Nothing is written yet.

    Args:
        plan: what the result depends on.
        runtime: what the earlier run computed with; None for a new film.
        done: segments that are whole.
        notes: what the user should know before the work begins.
    """

    film: Film
    output: Path
    codec: VideoCodec
    options: VideoOptions
    engine_options: EngineOptions
    journal: Journal
    plan: Plan
    runtime: Runtime | None
    done: list[Segment]
    notes: tuple[str, ...] = ()


def prepare(path: Path, output: Path, options: VideoOptions, engine_options: EngineOptions) -> Job:
    """Look at a film and at its work folder.

    Raises:
        RestoreError: what is wrong with the film, the output, the model or the options.
    """
    check_target(path, output, overwrite=options.overwrite)
    container_format(output)
    film = cut_out(describe(path, deinterlace=options.deinterlace), options.start, options.duration)
    codec = choose_codec(film, output, options.codec, options.crf, options.preset, options.pix_fmt)
    notes = film.notes + codec.notes + check_container(film, codec, output)
    journal = Journal(output)
    plan = _plan(film, codec, options, engine_options)
    runtime = None if options.restart else journal.open(plan)
    done = journal.segments() if runtime else []
    if runtime:
        engine_options = replace(engine_options, runtime=runtime.runtime, dtype=runtime.dtype, batch=runtime.batch)
    return Job(film, output, codec, options, engine_options, journal, plan, runtime, done, notes)


def restore_film(
    path: Path,
    output: Path,
    options: VideoOptions,
    engine_options: EngineOptions,
    on_frame: OnFrame = lambda done, total, scene: None,
    stopping: Callable[[], bool] = lambda: False,
) -> FilmResult | None:
    """Colour a film. None when `stopping` said yes: the same call goes on where it ended.

    Args:
        on_frame: called with the frames encoded so far, those in all where that is known, and the scene's number.

    Raises:
        RestoreError: what is wrong with the film, the output, the model or the options.
    """
    job = prepare(path, output, options, engine_options)
    return run(job, load_film_engine(job.engine_options), on_frame, stopping)


def load_film_engine(options: EngineOptions, load: LoadEngine = load_engine) -> Engine:
    """The engine for a film: the encoder is what keeps processors busy, and the network is asked for few frames.

    Threads beyond what it needs wait for each other and keep processors from encoding: with two processors, two threads
    spent most of their time that way.

    Raises:
        ModelError, DeviceError: see `load_engine`.
    """
    callers = min(processors(), _PROCESSORS_PER_THREAD)
    return load(options, callers, long_work=True)


def run(job: Job, engine: Engine, on_frame: OnFrame, stopping: Callable[[], bool]) -> FilmResult | None:
    """`restore_film`, of a film that is prepared, with an engine for the job's own options."""
    begin = time.monotonic()
    with job.journal.locked():
        _check_unchanged(job)
        if job.runtime is None:
            job.journal.clear()
            job.journal.begin(job.plan, Runtime(engine.runtime, engine.dtype, engine.batch))
        try:
            segments = _Work(job.film, job.codec, job.options, job.journal, on_frame, stopping).encode(engine, job.done)
            if segments is None:
                return None
            proof = _finish(job, segments, stopping)
        except Stopped:
            return None
        with contextlib.suppress(OutputError):  # The film is complete; a later run removes what is left here.
            job.journal.clear()
    facts = {"model": engine.model_name, "sha256": engine.model_sha256}
    facts |= {"device": engine.device, "runtime": engine.runtime, "dtype": engine.dtype}
    return FilmResult(
        job.output,
        proof.frames,
        time.monotonic() - begin,
        sum(len(segment.pts) for segment in job.done),
        segments[-1].memory.scene,
        proof,
        segments[-1].losses,
        job.notes + _notes(proof),
        job.film,
        job.codec,
        facts,
    )


def _check_unchanged(job: Job) -> None:
    """Raises OutputError where another run has come between looking at the work folder and locking it."""
    if job.options.restart:
        return
    if job.journal.open(job.plan) != job.runtime or len(job.journal.segments()) != len(job.done):
        raise OutputError(f"another run has worked on {job.output} meanwhile", "Run the same command again")


def _finish(job: Job, segments: list[Segment], stopping: Callable[[], bool]) -> Proof:
    """Join the segments, check the result, and give it its name."""
    film = job.film
    if fingerprint(film.path) != job.plan.source:
        raise InputError(f"{film.path} has changed meanwhile", "Begin anew with --restart")
    part = job.journal.folder / f"film{job.output.suffix}"
    assemble(part, film, segments, stopping)
    pts = [stamp for segment in segments for stamp in segment.pts]
    losses = segments[-1].losses
    whole = not any(losses[name] for name in ("packets", "frames", "timestamps"))
    shift = time_shift(film, segments)
    proof = check(part, film, pts, segments[-1].end, shift, undamaged=whole, stopping=stopping)
    if job.codec.lossless and not (losses["packets"] or losses["frames"]):  # Damage is not decoded alike each time.
        check_luma(part, film, job.codec.shift, stopping)
        proof = replace(proof, luma=True)
    if exists(job.output) and not job.options.overwrite:
        raise OutputError(f"{job.output} has appeared meanwhile", "Move it away and run the same command again")
    try:
        part.replace(job.output)
    except OSError as error:
        raise output_error(job.output, error) from error
    return proof


def check_target(path: Path, output: Path, *, overwrite: bool) -> None:
    """Tell early that a result can't get its name.

    Raises:
        OutputError: it is the film itself, is there already, or lies where nothing can be written.
    """
    check_writable(output.parent)
    if exists(output):
        if is_folder(output):
            raise OutputError(f"{output} is a folder", "Name a file with --output")
        if exists(path) and output.samefile(path):
            raise OutputError(f"{output} is the film itself", "Choose another place with --output")
        if not overwrite:
            raise OutputError(f"{output} is there already", "Move it away, or choose another place with --output")


def _notes(proof: Proof) -> tuple[str, ...]:
    if proof.shift <= 0:
        return ()
    return (f"something in it begins before zero: all of it was moved by {float(proof.shift):.3f} s",)


def render_frames(
    frames: Iterator[Frame],
    film: Film,
    codec: VideoCodec,
    options: VideoOptions,
    engine: Engine,
    memory: Memory | None = None,
) -> Generator[RenderedFrame, None, None]:
    """The composition: every stage takes from the one before, and is ahead of it by a few frames at most.

    Args:
        memory: as `color_frames` takes it.
    """
    jobs = processors()
    cv2.setNumThreads(1)
    keep_color = options.already_color == "keep"
    settings = ColorSettings(film.form, options.smooth, options.stride, keep_color, jobs, film.era)
    colored = ahead(color_frames(ahead(frames, BLOCK), engine, settings, memory), BLOCK)
    return map_in_threads(lambda frame: render(frame, codec.form, codec.shift, options.saturation), colored, jobs)


def _plan(film: Film, codec: VideoCodec, options: VideoOptions, engine_options: EngineOptions) -> Plan:
    checkpoint = find_checkpoint(engine_options.model)
    settings = effective(options) | effective(with_own_choices(engine_options, checkpoint)) | {"segment": SEGMENT}
    encoder = {"name": codec.name, "pixel_format": codec.pixel_format, **codec.options}
    return Plan(fingerprint(film.path), sha256(checkpoint), settings, encoder, __version__)


@dataclass
class _Work:
    """What the stages of one film share."""

    film: Film
    codec: VideoCodec
    options: VideoOptions
    journal: Journal
    on_frame: OnFrame
    stopping: Callable[[], bool]
    _memory: Memory = field(default_factory=Memory)

    def encode(self, engine: Engine, done: list[Segment]) -> list[Segment] | None:
        """All segments; None when told to stop, the segments that are whole staying in the journal."""
        if done and done[-1].last:
            return done
        first = sum(len(segment.pts) for segment in done)
        reader = self._reader(done, first)
        self._memory = done[-1].memory if done else Memory()
        segments = list(done)
        memory = self._memory if reader.first_index else None
        decoded = self._until_stopped(reader.frames())
        with contextlib.closing(render_frames(decoded, self.film, self.codec, self.options, engine, memory)) as frames:
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
                self._check_plan(reader, begun, pts, last)
                segments.append(
                    self.journal.add(number, pts, reader.losses.as_json(), self._memory, last=last, end=reader.end)
                )
                if held is None and not last:
                    return None
        if self.stopping() and not (segments and segments[-1].last):
            return None
        if not segments:
            raise InputError(f"{self.film.path} has no frame that can be decoded")
        return segments

    def _reader(self, done: list[Segment], first: int) -> Reader:
        if not done:
            return Reader(self.film)
        losses = Losses(**done[-1].losses)
        return Reader(self.film, first - RUN_UP, done[-1].pts[-RUN_UP], losses)

    def _check_plan(self, reader: Reader, begun: int, pts: list[int], last: bool) -> None:
        """Raises CheckError where a segment's frames are not those that were read."""
        place = begun - reader.plan_begin
        due = reader.plan[place:] if last else reader.plan[place : place + len(pts)]
        if due.tolist() != pts:
            raise CheckError(
                f"frames of {self.film.path} were lost on their way to the encoder: {len(pts)} came from frame {begun} "
                f"on, not the {len(due)} that were read, or not those",
                "What was done before is kept; please report this",
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
            self.on_frame(number, self.film.frames, frame.memory.scene)
            if self.stopping():  # the segment is dropped; what is on the way need not be encoded
                return
