"""Every option once, with its default and its validation. Imports nothing heavy: `restore --help` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from restore.errors import UsageError

Format = Literal["keep", "jpg", "png", "tif", "webp", "jp2", "avif"]
AlreadyColor = Literal["keep", "skip", "recolor"]
FilmInColor = Literal["keep", "recolor"]
Style = Literal["natural", "vivid"]
DEFAULT_STYLE: Style = "vivid"
Era = Literal["modern", "period"]
EraChoice = Literal["auto", "modern", "period"]
Runtime = Literal["torch", "onnxruntime"]

MAX_SATURATION = 4.0
SIZE_STEP = 32
MIN_SIZE = 64
MAX_SIZE = 1024
MAX_STILLS = 100


@dataclass(frozen=True)
class EngineOptions:
    """Which model runs, and where.

    Args:
        model: a shipped model's name, a checkpoint or exported model, or the folder of a training run.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        batch: pictures per step; None lets the engine choose.
        size: side of the square that the network sees, in pixels; None takes the one it was trained at.
        style: `natural` (calm, steady) or `vivid`; None takes the model's own.
        era: whose palette the colours have: `period` (before about 1970), `modern`, or by what each file says
            (`auto`, see `restore.era`).
        calm: how much less saturation where the model is unsure, 0 (off) to 1.
        dropout: leave the noise of a GAN's generator on, the same for every picture.
        dtype: what to compute in, such as `bfloat16`; None takes the faster one. Kept by films that are resumed.
        runtime: what computes; None takes what suits the machine. Kept likewise.
    """

    # The model counts by its digest; a film goes on with the batch, dtype and runtime that it was begun with.
    WITHOUT_EFFECT: ClassVar = frozenset({"model", "device", "batch", "dtype", "runtime"})

    model: str = "default"
    device: str = "auto"
    batch: int | None = None
    size: int | None = None
    style: Style | None = None
    era: EraChoice = "auto"
    calm: float = 0.0
    dropout: bool = False
    dtype: str | None = None
    runtime: Runtime | None = None

    def __post_init__(self) -> None:
        kind, _, number = self.device.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (
            ":" in self.device and not (kind == "cuda" and number.isdigit())
        ):
            raise UsageError(f"--device {self.device} is unknown", "Give auto, cpu, cuda or mps")
        if self.style is not None:
            _check_choice("--style", self.style, get_args(Style))
        _check_choice("--era", self.era, get_args(EraChoice))
        if not 0.0 <= self.calm <= 1.0:
            raise UsageError(f"--calm {self.calm:g} is out of range", "Give 0 (off) to 1")
        if self.runtime is not None:
            _check_choice("the runtime", self.runtime, get_args(Runtime))
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"--batch {self.batch} is too small", "Give 1 or more")
        if self.size is not None and (self.size % SIZE_STEP or not MIN_SIZE <= self.size <= MAX_SIZE):
            raise UsageError(
                f"--size {self.size} does not suit the network",
                f"Give a multiple of {SIZE_STEP} from {MIN_SIZE} to {MAX_SIZE}",
            )


@dataclass(frozen=True)
class PhotoOptions:
    """Which photos, where their results go, and how those are made. What is done with them is the choice of a function:
    `restore_photos`, `estimate_photos` or `verify_photos`.

    Args:
        inputs: files and folders.
        output: the folder for the results; None puts them beside the input (`<folder>-restored`).
        saturation: factor on the predicted chroma; 0 gives grey.
        format: `keep` or the container to write.
        quality: of JPEG and lossy WebP, 1 to 100.
        recursive: go into sub-folders.
        include: globs on the relative path or the name; when given, only these files.
        exclude: globs on the relative path or the name that are left out.
        overwrite: write outputs again that are there already.
        report: where the JSON report goes.
        already_color: what happens to a photo that has colour: copied (`keep`), left out (`skip`), or `recolor`.
        jobs: reader threads, and as many writer threads; None takes the number of processors.
        max_pixels: millions of them; a photo that claims more is refused.
        keep_times: results get the file times of their sources.
        provenance: results say in their XMP that their colour is a guess, and whose.
        compare: write a before/after picture beside each result.
        sheet: where a page goes that shows every photo before and after.
        confidence: write a map beside each result of how sure the model is.
    """

    WITHOUT_EFFECT: ClassVar = frozenset(
        (
            *("inputs", "output", "recursive", "include", "exclude", "overwrite", "report", "jobs", "max_pixels"),
            *("keep_times", "compare", "sheet"),
        )
    )

    inputs: Sequence[Path]
    output: Path | None = None
    saturation: float = 1.0
    format: Format = "keep"
    quality: int = 95
    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    overwrite: bool = False
    report: Path | None = None
    already_color: AlreadyColor = "keep"
    jobs: int | None = None
    max_pixels: int = 500
    keep_times: bool = False
    provenance: bool = True
    compare: bool = False
    sheet: Path | None = None
    confidence: bool = False

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("no input was given", "Name a folder or photos")
        if self.max_pixels < 1:
            raise UsageError(f"--max-pixels {self.max_pixels} is too small", "Give millions of pixels, 1 or more")
        if not 0.0 <= self.saturation <= MAX_SATURATION:
            raise UsageError(
                f"--saturation {self.saturation:g} is out of range", f"Give 0 to {MAX_SATURATION:g}; 1 is normal"
            )
        if not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} is out of range", "Give 1 to 100")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs {self.jobs} is too small", "Give 1 or more")
        _check_choice("--format", self.format, get_args(Format))
        _check_choice("--already-color", self.already_color, get_args(AlreadyColor))


@dataclass(frozen=True)
class VideoOptions:
    """How a film is coloured and encoded.

    Args:
        smooth: strength of smoothing in time, 0 (off) to 1.
        stride: the network sees one frame in `stride`; smoothing fills in the others.
        saturation: factor on the predicted chroma.
        already_color: scenes in colour are left as they are (`keep`), or coloured anew (`recolor`).
        deinterlace: turn interlaced frames into progressive ones.
        start, duration: seconds; the part of the film that is taken, None is all of it.
        codec, crf, preset, pix_fmt: of the encoder; None chooses.
        restart: throw unfinished work of the same film away.
        overwrite: replace a result that is there already.
    """

    # The encoder's settings count as they were chosen, with what None gave.
    WITHOUT_EFFECT: ClassVar = frozenset({"codec", "crf", "preset", "pix_fmt", "restart", "overwrite"})

    smooth: float = 0.8
    stride: int = 3
    saturation: float = 1.0
    already_color: FilmInColor = "keep"
    deinterlace: bool = False
    start: float | None = None
    duration: float | None = None
    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    restart: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.smooth <= 1.0:
            raise UsageError(f"--smooth {self.smooth:g} is out of range", "Give 0 (off) to 1")
        if self.start is not None and self.start < 0:
            raise UsageError(f"--start {self.start:g} is before the film", "Give seconds from its beginning")
        if self.duration is not None and self.duration <= 0:
            raise UsageError(f"--duration {self.duration:g} leaves nothing", "Give seconds above 0")
        if self.stride < 1:
            raise UsageError(f"--stride {self.stride} is too small", "Give 1 or more")
        if not 0.0 <= self.saturation <= MAX_SATURATION:
            raise UsageError(
                f"--saturation {self.saturation:g} is out of range", f"Give 0 to {MAX_SATURATION:g}; 1 is normal"
            )
        _check_choice("--already-color", self.already_color, get_args(FilmInColor))


@dataclass(frozen=True)
class FilmsOptions:
    """Which films `restore video` colours, and where to.

    Args:
        inputs: files and folders.
        output: the folder for the results, or for a single film its file; None puts them beside the input.
        video: how each is coloured.
        recursive: go into sub-folders.
        include: globs on the relative path or the name; when given, only these files.
        exclude: globs on the relative path or the name that are left out.
        dry_run: estimate time and size, and do nothing.
        preview: colour this number of stills of each film instead of the film.
        report: where the JSON report goes.
    """

    inputs: Sequence[Path]
    output: Path | None = None
    video: VideoOptions = field(default_factory=VideoOptions)
    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    dry_run: bool = False
    preview: int | None = None
    report: Path | None = None

    @property
    def overwrite(self) -> bool:
        """Whether results that are there already are made again."""
        return self.video.overwrite

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("no input was given", "Name films or a folder of them")
        if self.preview is not None and not 1 <= self.preview <= MAX_STILLS:
            raise UsageError(f"--preview {self.preview} is out of range", f"Give 1 to {MAX_STILLS} stills")
        if self.preview is not None and self.dry_run:
            raise UsageError("--preview and --dry-run contradict each other", "Give one of them")


@dataclass(frozen=True)
class ServeOptions:
    """What `restore serve` offers, where, and to whom.

    Args:
        host: address to listen at; one that other computers reach asks for `auth`.
        port: 0 takes any that is free.
        engine: what colours, unless a visitor chooses another style or size.
        max_megapixels: of a photo, and of a film's frame.
        max_upload: megabytes of a file.
        max_minutes: of a film.
        auth: a file of users and bcrypt hashes, as `htpasswd -B` makes it; None lets everyone in who reaches the page.
        open: show the page in this computer's browser.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    engine: EngineOptions = field(default_factory=EngineOptions)
    max_megapixels: int = 100
    max_upload: int = 2000
    max_minutes: int = 60
    auth: Path | None = None
    open: bool = False

    @property
    def is_private(self) -> bool:
        """Whether only this computer reaches the page."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port {self.port} is out of range", "Give 1 to 65535, or 0 for any that is free")
        for name in ("max_megapixels", "max_upload", "max_minutes"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)} is too small", "Give 1 or more")
        if not self.is_private and self.auth is None:
            raise UsageError(
                f"--host {self.host} would show the page to other computers without asking who they are",
                "Give --auth FILE as well, or leave --host out",
            )


def effective(options: EngineOptions | PhotoOptions | VideoOptions) -> dict[str, Any]:
    """The options that a result's pixels and form depend on, by name: all but those of `WITHOUT_EFFECT`, so that an
    option which is new counts unless someone says that it does not."""
    return {
        entry.name: getattr(options, entry.name)
        for entry in fields(options)
        if entry.name not in options.WITHOUT_EFFECT
    }


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option} {value} is unknown", f"Give one of {', '.join(choices)}")
