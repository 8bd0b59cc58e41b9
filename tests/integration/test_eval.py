"""`restore eval photos` on real pictures with a tiny untrained network: what is measured, and what is said about it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.colorizers import load_engine
from restore.errors import InputError, OutputError, RestoreError, SomeFilesFailedError, UsageError
from restore.evaluate import EvalOptions, evaluate_photos
from restore.merge import merge_rgb
from restore.metrics import PROTOCOL, is_grey, measure
from restore.model_files import sha256
from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model
from restore.options import EngineOptions
from restore.sheet import contact_sheet, draw_sheet
from restore.stills import colorize

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: its colours are wrong, but they are colours."""
    torch.manual_seed(1)
    config = ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 5}), HeadConfig("regression"), working_size=64)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, build_model(config), CheckpointInfo("tiny", "test only"))
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photos of four sizes; PNG, so that tests can compare with the arrays."""
    root = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        folder = root / name[0]
        folder.mkdir(exist_ok=True)
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return root


def in_tar(archive: Path, path: Path, extra: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for file in sorted(archive.rglob("*.png")):
            tar.add(file, str(file.relative_to(archive)))
        for name, content in extra.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def encoded(picture: np.ndarray, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format)
    return stream.getvalue()


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    command = [sys.executable, "-m", "restore", "eval", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_scores_are_those_of_the_photos_path(archive: Path, model: Path) -> None:
    options = EngineOptions(model=str(model), device="cpu", batch=3)
    engine = load_engine(options)

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        original = np.asarray(getattr(data, name)(), np.uint8)
        luma = np.asarray(Image.fromarray(original).convert("L"))
        return original, np.asarray(merge_rgb(luma, colorize(luma, engine, 1.5)), np.uint8)

    expected = measure(pair(name) for name in NAMES)
    steps: list[tuple[int, int]] = []
    result = evaluate_photos(EvalOptions(archive, saturation=1.5), options, lambda *step: steps.append(step))
    assert result.scores.grey == expected.grey
    # Which of float32 and bfloat16 is faster is timed, and may differ between the two engines.
    for name in ("psnr", "colorfulness", "colorfulness_abs", "ab_rmse", "auc"):
        assert getattr(result.scores.model, name) == pytest.approx(getattr(expected.model, name), rel=0.02), name
    assert result.scores.model.colorfulness > 1
    assert steps == [(3, 4), (4, 4)]
    grey = evaluate_photos(EvalOptions(archive, saturation=0.0), options).scores
    assert grey.model.colorfulness < 1 < result.scores.model.colorfulness
    assert grey.model.auc_rebalanced == pytest.approx(grey.grey.auc_rebalanced, abs=0.1)


def test_command_prints_figures_and_writes_report_and_sheet(archive: Path, model: Path, tmp_path: Path) -> None:
    report, sheet = tmp_path / "out" / "r.json", tmp_path / "out" / "s.png"
    done = run_cli(
        "photos", "--data", archive, "--model", model, "--device", "cpu", "--report", report, "--sheet", sheet
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bar in a pipe
    assert "\x1b" not in done.stdout
    content: dict[str, Any] = json.loads(report.read_text())
    scores = content["scores"]
    assert content["pictures"] == 4
    assert content["protocol"] == PROTOCOL
    assert PROTOCOL in done.stdout
    assert content["model"] == {"name": "tiny", "sha256": sha256(model)}
    assert content["options"]["data"] == str(archive)
    assert content["engine"]["size"] == 64
    rows = {line.split("  ")[0].strip(): line for line in done.stdout.replace(" PSNR", "PSNR").splitlines()}
    assert f"{scores['model']['psnr']:.2f}" in rows["PSNR, dB"]
    assert f"{scores['grey']['psnr']:.2f}" in rows["PSNR, dB"]
    assert scores["model"]["psnr"] != scores["grey"]["psnr"]
    for figure in (scores["model"]["auc_rebalanced"], scores["grey"]["ab_rmse"], scores["originals"]["colorfulness"]):
        assert f"{figure:.2f}" in done.stdout
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"
        assert picture.width > 3 * 224
        assert picture.height > 4 * 128  # a row is as high as its pictures
    assert sorted(path.name for path in report.parent.iterdir()) == ["r.json", "s.png"]  # no part files


def test_shards_with_broken_and_grey_pictures(archive: Path, model: Path, tmp_path: Path) -> None:
    coffee = np.asarray(data.coffee(), np.uint8)
    extra = {
        "broken/text.jpg": b"this is no picture",
        "broken/empty\n.png": b"",
        "broken/cut.jpg": encoded(coffee, "JPEG")[:9000],
        "broken/cut-grey.png": encoded(data.camera())[:9000],
        "grey/camera.png": encoded(data.camera()),
        "grey/as-rgb.jpg": encoded(np.stack([data.camera()] * 3, axis=2), "JPEG"),
        "notes.txt": b"not claimed to be a picture",
    }
    in_tar(archive, tmp_path / "data-00000.tar", extra)
    report = tmp_path / "reports" / "r.json"
    done = run_cli(
        "photos", "--data", tmp_path / "data-00000.tar", "--model", model, "--device", "cpu", "--report", report
    )
    assert done.returncode == SomeFilesFailedError.exit_code, done.stderr
    content = json.loads(report.read_text())
    assert content["pictures"] == 4
    assert [entry["path"].rpartition(":")[2] for entry in content["broken"]] == [
        name for name in extra if name.startswith("broken/")
    ]
    assert all(entry["error"] and "BytesIO" not in entry["error"] for entry in content["broken"])
    assert [name.rpartition(":")[2] for name in content["grey_originals"]] == ["grey/camera.png", "grey/as-rgb.jpg"]
    for name in extra:
        assert (name.replace("\n", "\\n") in done.stdout) == (name != "notes.txt")
    # What can't be measured leaves the figures as they are.
    clean = evaluate_photos(EvalOptions(archive), EngineOptions(model=str(model), device="cpu"))
    assert content["scores"]["grey"]["psnr"] == pytest.approx(clean.scores.grey.psnr)


def test_count_and_seed_choose_the_pictures(archive: Path, model: Path) -> None:
    engine = EngineOptions(model=str(model), device="cpu")
    baselines = [
        evaluate_photos(EvalOptions(archive, count=2, seed=seed), engine).scores.grey.psnr for seed in (0, 0, 1, 2, 3)
    ]
    assert baselines[0] == baselines[1]
    assert len(set(baselines)) > 1
    assert evaluate_photos(EvalOptions(archive, count=3), engine).scores.count == 3
    assert evaluate_photos(EvalOptions(archive, count=99), engine).scores.count == 4


def test_orientation_is_that_of_the_viewer(model: Path, tmp_path: Path) -> None:
    rocket = Image.fromarray(data.rocket())
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to view
    (tmp_path / "turned").mkdir()
    (tmp_path / "plain").mkdir()
    rocket.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned" / "r.png", exif=exif)
    rocket.save(tmp_path / "plain" / "r.png")
    engine = EngineOptions(model=str(model), device="cpu")
    sheets = []
    for name in ("turned", "plain"):
        path = tmp_path / f"{name}.png"
        evaluate_photos(EvalOptions(tmp_path / name, sheet=path), engine)
        sheets.append(np.asarray(Image.open(path))[:, -224:])  # the original's column
    assert np.array_equal(sheets[0], sheets[1])


def test_nothing_usable_is_an_input_error(model: Path, tmp_path: Path) -> None:
    engine = EngineOptions(model=str(model), device="cpu")
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 can't be read, 0 have no colour\. .*bad\.jpg"):
        evaluate_photos(EvalOptions(tmp_path), engine)
    done = run_cli("photos", "--data", tmp_path / "nowhere", "--model", model)
    assert done.returncode == 3
    assert "nowhere does not exist" in done.stderr


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"count": 0}, UsageError),
        ({"saturation": -1.0}, UsageError),
        ({"seed": -1}, UsageError),
        ({"report": Path("{archive}/r.json")}, OutputError),
        ({"sheet": Path("{archive}/a/astronaut.png")}, OutputError),
        ({"report": Path("{archive}")}, OutputError),
        ({"report": Path("{archive}/a/astronaut.png/r.json")}, OutputError),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(
    archive: Path, change: dict[str, Any], error: type[RestoreError]
) -> None:
    change = {key: Path(str(v).format(archive=archive)) if isinstance(v, Path) else v for key, v in change.items()}
    before = sorted(archive.rglob("*"))
    with pytest.raises(error):
        evaluate_photos(EvalOptions(archive, **change), EngineOptions(model="no such model"))
    assert sorted(archive.rglob("*")) == before


def test_a_listed_original_is_never_written_over(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(str(archive / "a" / "astronaut.png"))
    for target in (archive / "a" / "astronaut.png", tmp_path / "list.txt"):
        before = target.read_bytes()
        with pytest.raises(OutputError, match="lies in the data"):
            evaluate_photos(EvalOptions(tmp_path / "list.txt", sheet=target), EngineOptions(model="no such model"))
        assert target.read_bytes() == before


def test_grey_is_told_from_faint_colour() -> None:
    camera = np.stack([data.camera()] * 3, axis=2)
    assert is_grey(camera)
    tinted = camera.copy()
    tinted[:50, :50, 2] = 255 - tinted[:50, :50, 2]
    assert not is_grey(tinted)
    assert not is_grey(np.asarray(data.coffee()))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom restore.cli import app\n"
        "try:\n    app(['eval', 'photos', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'cv2', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--saturation" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_sheet_places_pictures_in_their_cells(tmp_path: Path) -> None:
    red = np.full((300, 100, 3), (255, 0, 0), np.uint8)
    blue = np.full((20, 40, 3), (0, 0, 255), np.uint8)
    sheet = np.asarray(draw_sheet([[red, blue], [blue, red]], ("left", "right"), cell=60))
    reds, blues = (np.argwhere((sheet == colour).all(axis=2)) for colour in ((255, 0, 0), (0, 0, 255)))
    assert len(reds) == 2 * 60 * 20  # reduced to the cell, in proportion
    assert len(blues) == 2 * 20 * 40  # not enlarged
    assert reds[:, 0].min() < blues[:, 0].min() < reds[:, 0].max() < sheet.shape[0]
    assert (sheet[:20].min(axis=2) < 128).any()  # the labels
    with pytest.raises(ValueError, match="2 pictures"):
        draw_sheet([[red]], ("left", "right"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        contact_sheet(tmp_path / "file" / "s.png", [[red]], ("one",))


def test_calibration_is_measured_printed_and_reported(archive: Path, model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = run_cli("photos", "--data", archive, "--calibration", "--report", report)
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    groups = figures["calibration"]["groups"]
    assert f"rank correlation {figures['calibration']['rank_correlation']:.3f}" in done.stdout
    assert f"{groups[0]['stated']:5.1f}  {groups[0]['measured']:8.1f}" in done.stdout
    pixels = sum(min(256 / min(shape := getattr(data, n)().shape[:2]), 1) ** 2 * np.prod(shape) for n in NAMES)
    assert sum(group["pixels"] for group in groups) == pytest.approx(pixels, rel=0.01)
    assert groups[-1]["measured"] > 1.3 * groups[0]["measured"]
    # Measuring leaves the colours as they are.
    plain = evaluate_photos(EvalOptions(archive), EngineOptions())
    assert plain.figures.calibration is None and plain.as_json()["scores"] == figures["scores"]

    with pytest.raises(UsageError, match="Leave --calm out"):
        evaluate_photos(EvalOptions(archive, calibration=True), EngineOptions(calm=0.5))
    with pytest.raises(UsageError, match="Leave --saturation out"):
        EvalOptions(archive, saturation=0.5, calibration=True)
    with pytest.raises(UsageError, match="--calibration needs"):
        evaluate_photos(EvalOptions(archive, calibration=True), EngineOptions(str(model)))
