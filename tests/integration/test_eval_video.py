"""`restore eval video` on clips made on the spot, with a tiny untrained network: its figures are `restore_film`'s."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.video.stream
import numpy as np
import pytest
from skimage import data

from restore.errors import InputError, OutputError, RestoreError, SomeFilesFailedError, UsageError
from restore.evaluate_film import FilmEvalOptions, FilmEvaluation, evaluate_films
from restore.film_metrics import PROTOCOL, cdc
from restore.metrics import Rgb, colorfulness
from restore.options import EngineOptions, VideoOptions
from restore.video.film import describe
from restore.video.pipeline import restore_film
from restore.video.reader import Plane, Reader, plane_array
from restore.video.rgb import rgb_from_planes

WIDTH, HEIGHT = 146, 98
FRAMES = 20


def window(number: int) -> Rgb:
    """A pan over a photo, and after the middle over another one; with grain, which makes networks waver."""
    photo = data.astronaut() if number < FRAMES // 2 else data.coffee()
    grain = np.random.default_rng(number).normal(0, 5, (HEIGHT, WIDTH, 1))
    return np.clip(photo[100 + number :, 2 * number :][:HEIGHT, :WIDTH] + grain, 0, 255).astype(np.uint8)


def write_clip(path: Path, frames: int = FRAMES, grey: str = "", codec: str = "ffv1") -> Path:
    """A clip in colour; `gray` drops its chroma, `neutral` and `sepia` make it the same everywhere."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "gray" if grey == "gray" else "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(window(number)), format="rgb24")
            frame = picture.reformat(format="yuv420p")
            if grey == "gray":
                bare = av.VideoFrame(WIDTH, HEIGHT, "gray")
                plane_array(bare, 0)[:] = plane_array(frame, 0)
                frame = bare
            elif grey:
                for plane, value in ((1, 128), (2, 128)) if grey == "neutral" else ((1, 112), (2, 142)):
                    plane_array(frame, plane)[:] = value
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pictures(path: Path) -> list[Rgb]:
    film = describe(path)
    found = []
    for frame in Reader(film).frames():
        assert frame.chroma is not None
        planes: tuple[Plane, Plane, Plane] = (frame.luma, *frame.chroma)
        found.append(rgb_from_planes(planes, film.form).copy())
    return found


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> EngineOptions:
    return EngineOptions(model=str(tiny_model), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "colour.mkv")
    return folder


@pytest.fixture(scope="module")
def result(clips: Path, engine: EngineOptions) -> FilmEvaluation:
    return evaluate_films(FilmEvalOptions(clips), engine)


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restore", "eval", "video", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("smooth", [0.8, 0.0])
def test_figures_are_those_of_a_restored_film(
    clips: Path, engine: EngineOptions, result: FilmEvaluation, tmp_path: Path, smooth: float
) -> None:
    grey = write_clip(tmp_path / "grey.mkv", grey="gray")
    options = VideoOptions(codec="ffv1", pix_fmt="yuv420p", smooth=smooth)
    restore_film(grey, tmp_path / "out.mkv", options, engine)
    originals, coloured = pictures(clips / "colour.mkv"), pictures(tmp_path / "out.mkv")
    if smooth != result.options.video.smooth:
        result = evaluate_films(FilmEvalOptions(clips, replace(options)), engine)
    (clip,) = result.clips
    scores = clip.scores
    error = np.mean((np.stack(originals).astype(float) - np.stack(coloured)) ** 2)
    assert scores.frames == FRAMES
    assert scores.psnr == pytest.approx(10 * math.log10(255**2 / error))
    assert scores.model.cdc == pytest.approx(cdc(coloured))
    assert scores.original.cdc == pytest.approx(cdc(originals))
    assert scores.model.colorfulness == pytest.approx(np.mean([colorfulness(frame) for frame in coloured]))
    assert scores.original.colorfulness == pytest.approx(np.mean([colorfulness(frame) for frame in originals]))
    assert scores.model.colorfulness > 1
    assert scores.pairs_left_out == 1  # the cut
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)


def test_smoothing_lowers_the_warp_error_and_leaves_the_originals(clips: Path) -> None:
    """With the default model: the tiny one hardly wavers."""
    engine = EngineOptions(device="cpu")
    rough, steady = (
        evaluate_films(FilmEvalOptions(clips, VideoOptions(smooth=smooth)), engine).mean() for smooth in (0, 0.8)
    )
    assert rough.original == steady.original
    assert rough.grey_psnr == steady.grey_psnr
    assert steady.model.warp_error < 0.6 * rough.model.warp_error


def test_without_saturation_the_result_is_the_grey_baseline(clips: Path, engine: EngineOptions) -> None:
    scores = evaluate_films(FilmEvalOptions(clips, VideoOptions(saturation=0)), engine).mean()
    assert scores.psnr == pytest.approx(scores.grey_psnr, abs=0.05)
    assert scores.model.colorfulness < 1 < scores.original.colorfulness
    assert scores.model.warp_error < 0.1 < scores.original.warp_error


def test_command_prints_a_table_and_writes_the_report(clips: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deeper").mkdir(parents=True)
    write_clip(folder / "deeper" / "a.mp4", codec="libx264")
    write_clip(folder / "b.mkv")
    write_clip(folder / "grey.mkv", grey="gray")
    write_clip(folder / "neutral.mkv", grey="neutral")
    write_clip(folder / "sepia.mkv", grey="sepia")
    write_clip(folder / "short.mkv", frames=3)
    (folder / "text.mp4").write_text("no film")
    (folder / "notes.txt").write_text("not claimed to be a film")
    report = tmp_path / "out" / "r.json"
    done = run_cli("--data", folder, "--model", tiny_model, "--device", "cpu", "--count", 12, "--report", report)
    assert done.returncode == SomeFilesFailedError.exit_code, done.stderr
    assert done.stderr.startswith("restore: error: 1 clips of ")  # no bar in a pipe
    content: dict[str, Any] = json.loads(report.read_text())
    assert [Path(clip["name"]).name for clip in content["clips"]] == ["b.mkv", "a.mp4"]
    assert [clip["frames"] for clip in content["clips"]] == [12, 12]
    assert [Path(name).name for name in content["grey_originals"]] == ["grey.mkv", "neutral.mkv", "sepia.mkv"]
    assert [Path(name).name for name in content["too_short"]] == ["short.mkv"]
    assert [Path(broken["path"]).name for broken in content["broken"]] == ["text.mp4"]
    assert content["protocol"] == PROTOCOL
    assert PROTOCOL in done.stdout
    for name in ("psnr", "grey_psnr", "hue_shift", "ab_shift"):
        assert content["mean"][name] == pytest.approx(np.mean([clip[name] for clip in content["clips"]]))
    for name in ("colorfulness", "cdc", "warp_error", "hue_drift", "ab_drift"):
        for of in ("model", "original"):
            figures = [clip[of][name] for clip in content["clips"]]
            assert content["mean"][of][name] == pytest.approx(np.mean(figures))
    table = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for row, figures in (("b.mkv", content["clips"][0]), ("a.mp4", content["clips"][1]), ("mean", content["mean"])):
        ours, theirs = figures["model"], figures["original"]
        for figure in (f"{figures['psnr']:.2f}", f"{ours['cdc']:.5f}", f"{theirs['cdc']:.5f}"):
            assert figure in table[row].split()
        assert f"{theirs['warp_error']:.2f}" == table[row].split()[-4]
        assert [f"{value:.1f}°" for value in (ours["hue_drift"], theirs["hue_drift"], figures["hue_shift"])] == table[
            row
        ].split()[-3:]
    assert f"Scenes told apart: {2 * content['clips'][0]['scenes']}, with disturbed frames" in done.stdout
    for name in ("grey.mkv", "neutral.mkv", "sepia.mkv", "short.mkv", "text.mp4"):
        assert str(folder / name) in done.stdout
    assert "notes.txt" not in done.stdout


def test_progress_counts_frames(clips: Path, engine: EngineOptions) -> None:
    steps: list[tuple[str, int, int | None]] = []
    evaluate_films(FilmEvalOptions(clips, count=7), engine, lambda *step: steps.append(step))
    assert steps == [("colour.mkv", number, 7) for number in range(1, 8)]


def test_nothing_usable_is_an_input_error(engine: EngineOptions, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    with pytest.raises(InputError, match="holds no clip"):
        evaluate_films(FilmEvalOptions(folder), engine)
    write_clip(folder / "grey.mkv", grey="neutral")
    write_clip(folder / "short.mkv", frames=4)
    (folder / "empty.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="1 can't be read, 1 have no colour, 1 are too short") as raised:
        evaluate_films(FilmEvalOptions(folder), engine)
    assert "empty.mp4 is empty" in raised.value.hint
    done = run_cli("--data", tmp_path / "nowhere", "--model", tiny_model)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "nowhere does not exist" in done.stderr


def test_options_that_make_no_sense_are_refused_before_any_work(clips: Path, tmp_path: Path) -> None:
    no_engine = EngineOptions(model="no such model")

    def refused(error: type[RestoreError], **change: Any) -> None:
        with pytest.raises(error):
            evaluate_films(FilmEvalOptions(change.pop("data", clips), **change), no_engine)

    before = sorted((path, path.stat().st_mtime_ns) for path in clips.rglob("*"))
    refused(UsageError, count=4)
    refused(OutputError, report=clips / "r.json")
    refused(OutputError, report=clips)
    refused(OutputError, report=clips / "colour.mkv", data=clips / "colour.mkv")
    refused(OutputError, report=clips / "colour.mkv" / "r.json")
    done = run_cli("--data", clips, "--smooth", 1.5)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sorted((path, path.stat().st_mtime_ns) for path in clips.rglob("*")) == before


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom restore.cli import app\n"
        "try:\n    app(['eval', 'video', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'cv2', 'numpy', 'PIL', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--stride" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
