"""Training on real pictures with the real command: it learns, survives, resumes, and refuses clearly."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from tests.command import restore_here

TINY = [
    "--generator",
    "unet",
    "--generator-arg",
    "filters=8",
    "--generator-arg",
    "downs=5",
    "--size",
    "64",
    "--working-size",
    "64",
]
QUICK = [*TINY, "--batch", "4", "--workers", "1", "--val-count", "2", "--precision", "fp32", "--device", "cpu"]


def restore_alone(*arguments: str | Path, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen colour crops of four photos, in ImageNet's layout."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        photo = getattr(data, name)()
        for i, (top, left) in enumerate(((0, 0), (0, 100), (100, 0), (100, 150))):
            path = root / "train" / name / f"{name}_{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo[top : top + 200, left : left + 240]).save(path, quality=92)
    return root


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_regression_learns_and_its_checkpoint_colours(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = restore_here(
        "train",
        "--data",
        pictures,
        "--recipe",
        "regression",
        "--steps",
        "80",
        "--output",
        run,
        *QUICK,
        "--degrade",
        "0",
    )
    assert result.returncode == 0, result.stderr
    assert "cross_entropy" not in metrics(run)[-1]["validation"]  # type: ignore[operator]
    losses = [line["loss"] for line in metrics(run) if "loss" in line]
    assert losses[-1] < 0.85 * losses[0]
    assert (run / "config.json").exists()
    assert list((run / "samples").glob("*.png"))
    grey = tmp_path / "grey.png"
    Image.fromarray(data.coffee()).convert("L").save(grey)
    result = restore_here("photos", grey, "--model", run, "--output", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    coloured = Image.open(tmp_path / "out" / "grey.png")
    assert np.array_equal(np.asarray(coloured.convert("L")), np.asarray(Image.open(grey)))
    spread = np.asarray(coloured).astype(int)
    assert np.abs(spread[..., 0] - spread[..., 2]).mean() > 2


def test_classes_trains_from_shards_and_counts_broken_pictures(pictures: Path, tmp_path: Path) -> None:
    shard = tmp_path / "shard-000.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(pictures.rglob("*.jpg")):
            tar.add(path, path.name)
        for name, content in (("broken.jpg", b"no picture"), ("cut.jpg", path.read_bytes()[:200])):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    run = tmp_path / "run"
    result = restore_here("train", "--data", shard, "--val", pictures, "--steps", "20", "--output", run, *QUICK)
    assert result.returncode == 0, result.stderr
    assert "broken.jpg" in result.stderr
    assert "cut.jpg" in result.stderr
    validation: dict[str, float] = metrics(run)[-1]["validation"]  # type: ignore[assignment]
    assert validation["pictures"] == 2
    assert f"cross-entropy {validation['cross_entropy']:.3f}, balanced" in result.stderr
    # Of 261 colours: a network that has seen nothing is at 5.6 or above, one that knows grey is common is below.
    assert 1 < validation["cross_entropy"] < 5.6 and 1 < validation["cross_entropy_balanced"] < 8
    assert 0 <= validation["false_magenta"] <= validation["magenta"] <= 100
    assert 0 < validation["palette_distance"] < 1


@pytest.mark.parametrize(("recipe", "sent"), [("classes", signal.SIGKILL), ("regression", signal.SIGINT)])
def test_stopped_and_resumed_equals_uninterrupted(
    recipe: str, sent: signal.Signals, pictures: Path, tmp_path: Path
) -> None:
    common = [
        "train",
        "--data",
        pictures,
        "--recipe",
        recipe,
        "--steps",
        "60",
        *QUICK,
        "--save-every",
        "7",
        "--wear",
        "0.7",
        "--also",
        f"{pictures}=2",
        "--seed",
        "5",
    ]
    whole = tmp_path / "whole"
    assert restore_alone(*common, "--output", whole).returncode == 0
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "restore", *map(str, common), "--output", str(broken)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not (broken / "last.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, sent)
    reached = torch.load(broken / "state.pt", weights_only=True)["state"]["step"]
    assert 0 < reached < 60, "the kill came too late to prove anything"
    result = restore_alone("train", "--resume", "--output", broken)
    assert result.returncode == 0, result.stderr
    ours, theirs = load_file(broken / "last.safetensors"), load_file(whole / "last.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [m.get("loss") for m in metrics(broken)] == [m.get("loss") for m in metrics(whole)]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_end(sent: signal.Signals, code: int, pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "restore",
        "train",
        "--data",
        str(pictures),
        "--epochs",
        "10000",
        *QUICK,
        "--save-every",
        "5",
        "--output",
        str(run),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 300
        while not (run / "last.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        # To every process of it, workers first, as a service manager and `pkill` do; a terminal knows the group only.
        for worker in psutil.Process(process.pid).children(recursive=True):
            worker.send_signal(sent)
        time.sleep(0.5)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert torch.load(run / "state.pt", weights_only=True)["state"]["step"] >= 5


def test_init_starts_from_weights_with_a_fresh_optimiser(pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert restore_here("train", "--data", pictures, "--steps", "5", "--output", first, *QUICK).returncode == 0
    result = restore_here(
        "train",
        "--data",
        pictures,
        "--steps",
        "1",
        "--learning-rate",
        "1e-9",
        "--init",
        first,
        "--output",
        second,
        *QUICK,
    )
    assert result.returncode == 0, result.stderr
    ours, theirs = load_file(second / "last.safetensors"), load_file(first / "best.safetensors")
    name = "generator.downs.0.0.weight"
    assert torch.allclose(ours[name], theirs[name], atol=1e-5)
    result = restore_here(
        "train", "--data", pictures, "--recipe", "regression", "--init", first, "--output", tmp_path / "third", *QUICK
    )
    assert result.returncode == 2
    assert "head" in result.stderr


def test_fine_tuning_keeps_how_the_shipped_model_decodes(pictures: Path, tmp_path: Path) -> None:
    from restore.checkpoint import load_checkpoint
    from restore.model_files import find_checkpoint

    common = ["train", "--data", pictures, "--init", "default", "--steps", "1", "--size", "32", "--batch", "2"]
    common += ["--workers", "1", "--val-count", "2", "--precision", "fp32", "--device", "cpu"]
    result = restore_here(*common, "--output", tmp_path / "kept")
    assert result.returncode == 0, result.stderr
    shipped, _ = load_checkpoint(find_checkpoint("default"))
    kept, _ = load_checkpoint(tmp_path / "kept" / "last.safetensors")
    assert kept.config == shipped.config
    config = json.loads((tmp_path / "kept" / "config.json").read_text())
    assert config["working_size"] == shipped.config.working_size
    assert config["learning_rate"] < 1e-3, "from scratch it would be ten times as much"
    result = restore_here(*common, "--temperature", "0.5", "--working-size", "64", "--output", tmp_path / "changed")
    assert result.returncode == 0, result.stderr
    changed, _ = load_checkpoint(tmp_path / "changed" / "last.safetensors")
    assert (changed.config.head.temperature, changed.config.head.vividness) == (0.5, None)
    assert changed.config.working_size == 64


def test_a_checkpoint_grows_by_what_is_asked_for_and_all_else_stays(pictures: Path, tmp_path: Path) -> None:
    from restore.checkpoint import load_checkpoint
    from restore.model_files import find_checkpoint

    common = ["train", "--data", pictures, "--init", "default", "--steps", "1", "--size", "64", "--batch", "2"]
    common += ["--workers", "1", "--val-count", "2", "--precision", "fp32", "--device", "cpu"]
    common += ["--learning-rate", "1e-9", "--encoder-learning-rate", "1e-9"]
    run = tmp_path / "grown"
    arguments = ["attention=1", "attention_width=64", "wide=[32,32]", "wide_blocks=1"]
    asked = [word for argument in arguments for word in ("--generator-arg", argument)]
    result = restore_alone(*common, *asked, "--output", run)
    assert result.returncode == 0, result.stderr
    assert "new in the network, with first weights: context, wide; all else from default" in result.stderr
    shipped, _ = load_checkpoint(find_checkpoint("default"))
    grown, _ = load_checkpoint(run / "last.safetensors")
    assert grown.config.generator.arguments["wide"] == [32, 32]
    assert grown.config.head == shipped.config.head
    ours, theirs = grown.state_dict(), shipped.state_dict()
    assert {name.split(".")[1] for name in ours.keys() - theirs.keys()} == {"context", "wide"}
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)
    result = restore_here(*common, "--generator-arg", "widths=[64,64,64]", "--output", tmp_path / "narrow")
    assert result.returncode == 2
    assert "has no place there" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--steps", "1"], 2, "--data is missing"),
        (["--data", "nowhere"], 3, "nowhere"),
        (["--data", "PICTURES", "--recipe", "magic"], 2, "classes"),
        (["--data", "PICTURES", "--also", "more.tar"], 2, "--also more.tar is not PATH=TIMES"),
        (["--data", "PICTURES", "--also", "more.tar=0"], 2, "a whole number of at least 1"),
        (["--data", "PICTURES", "--also", "nowhere.tar=2"], 3, "nowhere.tar"),
        (["--data", "PICTURES", "--size", "50"], 2, "multiple of 32"),
        (["--data", "PICTURES", "--seed", "-1"], 2, "--seed"),
        (["--data", "PICTURES", "--workers", "-1"], 2, "--workers"),
        (["--data", "PICTURES", "--generator", "magic"], 2, "efficientnet_unet"),
        (["--data", "PICTURES", "--generator-arg", "variant=9"], 2, "variant"),
        (["--data", "PICTURES", "--init", "nowhere.safetensors"], 6, "nowhere.safetensors"),
        (["--data", "PICTURES", "--encoder-weights", "nowhere.pth"], 3, "nowhere.pth"),
        (["--data", "PICTURES", "--device", "cuda:7"], 7, "cuda:7"),
        (["--data", "PICTURES", "--cache-gb", "1"], 2, "--cache"),
        (["--data", "PICTURES", "--cache", "PICTURES/train/coffee/coffee_0.jpg"], 4, "the cache"),
        (["--resume", "--output", "nowhere"], 3, "no training run"),
        (["--resume", "--output", "nowhere", "--batch", "3"], 2, "--batch"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], code: int, says: str, pictures: Path, tmp_path: Path) -> None:
    filled = [argument.replace("PICTURES", str(pictures)) for argument in arguments]
    result = restore_here("train", *filled, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_an_existing_run_is_not_overwritten_and_one_that_saved_nothing_begins_anew(
    pictures: Path, tmp_path: Path
) -> None:
    whole, begun = tmp_path / "whole", tmp_path / "begun"
    common = ["train", "--data", pictures, "--steps", "2", *QUICK, "--cache", tmp_path / "cache"]
    assert restore_alone(*common, "--output", whole).returncode == 0
    begun.mkdir()
    shutil.copy(whole / "config.json", begun)
    result = restore_alone(*common, "--output", begun)
    assert result.returncode == 4
    assert "--resume" in result.stderr
    assert [path.name for path in begun.iterdir()] == ["config.json"]
    result = restore_alone("train", "--resume", "--output", begun)
    assert result.returncode == 0, result.stderr
    assert f"cache {tmp_path / 'cache'}: 14 pictures" in result.stderr  # its own settings; the first run saw all
    ours, theirs = load_file(begun / "last.safetensors"), load_file(whole / "last.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_second_signal_ends_at_once_and_saves_no_half_step(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "restore", "train", "--data", str(pictures), "--epochs", "10000", *QUICK]
    command += ["--save-every", "3", "--output", str(run)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (run / "last.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    state = torch.load(run / "state.pt", weights_only=True)["state"]
    assert state["step"] % 3 == 0, "only the regular saves, not a step that was cut short"


def test_a_run_goes_on_from_another_folder(pictures: Path, tmp_path: Path) -> None:
    """What --data named relative to the first working directory is found from any other."""
    arguments = ["train", "--data", pictures.name, "--output", tmp_path / "run", "--steps", "2", *QUICK]
    assert restore_here(*arguments, cwd=pictures.parent).returncode == 0
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"steps": 2', '"steps": 4'))
    result = restore_here("train", "--resume", "--output", tmp_path / "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "4 steps" in result.stderr
