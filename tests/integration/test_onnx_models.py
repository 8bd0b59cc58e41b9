"""Exported models through the command line: photos, films and figures, without PyTorch; and `restore models`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.colorizers.onnx_export import export_onnx
from restore.options import EngineOptions, VideoOptions
from restore.video.pipeline import restore_film
from tests.conftest import Result
from tests.exported import save_small
from tests.films import has_colour, make_film
from tests.pictures import chroma_of, colourful, luma_of, save_grey

Run = Callable[..., Result]
WITHOUT_TORCH = """
import sys
from restore.cli import main
sys.argv = ["restore", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    print("CODE", ended.code or 0, "TORCH", "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.safetensors and its exported form."""
    folder = tmp_path_factory.mktemp("models")
    save_small(folder / "model.safetensors", "annealed")
    export_onnx(folder / "model.safetensors", folder / "model.onnx")
    return folder


def run_in_process(*arguments: object) -> str:
    """The last line of `WITHOUT_TORCH` over a command."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [done.stderr])[-1]


def test_photos_by_the_default_model_never_import_torch(tmp_path: Path) -> None:
    luma = save_grey(tmp_path / "in" / "a.png")
    arguments = ("photos", tmp_path / "in", "--output", tmp_path / "out", "--device", "cpu", "--quiet")
    assert run_in_process(*arguments) == "CODE 0 TORCH False"
    assert chroma_of(tmp_path / "out" / "a.png") > 1
    assert np.abs(luma_of(tmp_path / "out" / "a.png") - luma).max() <= 1


def test_films_by_an_exported_model_never_import_torch(tmp_path: Path, models: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 60)
    assert run_in_process("video", film, "--model", models / "model.onnx", "--quiet") == "CODE 0 TORCH False"
    assert has_colour(tmp_path / "film-restored.mp4")


def test_the_same_photo_by_both_runtimes(restore_photos: Run, tmp_path: Path, models: Path) -> None:
    save_grey(tmp_path / "in" / "a.png")
    alone = tmp_path / "alone.safetensors"
    shutil.copy(models / "model.safetensors", alone)
    results = {}
    for name, model in (("torch", alone), ("onnxruntime", models / "model.onnx")):
        result = restore_photos(tmp_path / "in", "--output", tmp_path / name, model=model)
        assert (result.code, result.report["runtime"], result.report["device"]) == (0, name, "cpu")
        results[name] = np.asarray(Image.open(tmp_path / name / "a.png")).astype(int)
    # The checkpoint alone may be computed in bf16.
    assert np.abs(results["torch"] - results["onnxruntime"]).mean() < 3


def test_style_and_size_of_an_exported_model(restore_photos: Run, tmp_path: Path, models: Path) -> None:
    save_grey(tmp_path / "in" / "a.png")
    for name, options in (
        ("plain", ()),
        ("calm", ("--style", "natural")),
        ("vivid", ("--style", "vivid")),
        ("large", ("--size", "128")),
    ):
        result = restore_photos(tmp_path / "in", "--output", tmp_path / name, *options, model=models / "model.onnx")
        assert result.code == 0, result.err
    pictures = {path.parent.name: path.read_bytes() for path in tmp_path.glob("*/a.png") if path.parent.name != "in"}
    assert len(pictures) == len(set(pictures.values())) == 4


@pytest.mark.parametrize("command", ["photos", "video"])
def test_damaged_and_foreign_models_end_with_6(
    run_command: Callable[[str], Run], tmp_path: Path, models: Path, command: str
) -> None:
    if command == "photos":
        source = tmp_path / "in" / "a.png"
        save_grey(source)
    else:
        source = make_film(tmp_path / "in" / "a.mp4", 30)
    whole = (models / "model.onnx").read_bytes()
    for name, content in (("text.onnx", b"hello"), ("half.onnx", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(content)
        result = run_command(command)(source.parent, "--output", tmp_path / "out", model=tmp_path / name)
        assert result.code == 6, result.err
        assert name in result.err and "Traceback" not in result.err
        assert not list((tmp_path / "out").glob("a*"))


def test_a_gpu_is_not_for_exported_models(restore_photos: Run, tmp_path: Path, models: Path) -> None:
    save_grey(tmp_path / "a.png")
    result = restore_photos(tmp_path / "a.png", "--device", "cuda", model=models / "model.onnx")
    assert result.code == 7 and "CPU only" in result.err


def test_figures_of_an_exported_model(tmp_path: Path, models: Path) -> None:
    (tmp_path / "in").mkdir()
    colourful(200, 150).save(tmp_path / "in" / "a.png")
    report = tmp_path / "report.json"
    command = ["eval", "photos", "--data", tmp_path / "in", "--model", models / "model.onnx", "--report", report]
    done = subprocess.run([sys.executable, "-m", "restore", *map(str, command)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"onnxruntime"' in report.read_text()


def test_a_film_goes_on_with_the_runtime_that_it_began_with(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restore.video.pipeline.SEGMENT", 96)
    film, output = make_film(tmp_path / "film.mp4", 250), tmp_path / "out.mp4"
    options = EngineOptions(str(models / "model.safetensors"), "cpu")
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags : avx512f\n")
    monkeypatch.setattr("restore.colorizers.devices._CPU_FACTS", facts)
    plan = tmp_path / ".out.mp4.restore-work" / "plan.json"
    whole = plan.with_name("00000.json")
    assert restore_film(film, output, VideoOptions(), options, stopping=whole.exists) is None
    assert json.loads(plan.read_text())["runtime"] == {"runtime": "onnxruntime", "dtype": "float32", "batch": 1}
    # A machine that would have chosen PyTorch.
    facts.write_text("flags : amx_bf16\n")
    result = restore_film(film, output, VideoOptions(), options)
    assert result is not None and result.resumed_at >= 96
    assert result.engine["runtime"] == "onnxruntime"


def test_models_are_listed_described_and_exported(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from restore.cli import main

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["restore", "models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err, {})

    assert "default" in run("list").out
    for suffix in ("safetensors", "onnx"):
        described = run("info", models / f"model.{suffix}")
        assert described.code == 0
        for fact in ("small-annealed", "MIT", "natural, vivid", "--calm and --confidence work", "64", '"steps": 3'):
            assert fact in described.out
    assert run("info", "nonsense").code == 6
    target = tmp_path / "exported.onnx"
    export = ("export", "--model", models / "model.safetensors", "--output", target)
    assert run(*export).code == 0
    assert "small-annealed" in run("info", target).out
    assert run(*export).code == 4
    assert run("export", "--model", target, "--output", tmp_path / "again.onnx").code == 2
    assert run("export", "--output", tmp_path / "model.pt").code == 2
    (tmp_path / "community.pth").touch()
    assert run("export", "--model", tmp_path / "community.pth").code == 2
