"""GAN recipes with the real command: they learn, colour, survive a kill, share work, and refuse clearly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tests.command import restore_here

SMALL = ["--generator-arg", "filters=8", "--generator-arg", "downs=5", "--discriminator-arg", "filters=8"]
QUICK = ["--size", "64", "--working-size", "64", "--batch", "4", "--workers", "1", "--val-count", "3"]
QUICK += ["--precision", "fp32", "--device", "cpu", "--record-every", "5"]


def restore_alone(*arguments: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **kwargs)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen colour crops of four photos."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        photo = getattr(data, name)()
        for i, (top, left) in enumerate(((0, 0), (0, 100), (100, 0), (100, 150))):
            Image.fromarray(photo[top : top + 200, left : left + 240]).save(root / f"{name}_{i}.jpg", quality=92)
    return root


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[dict[str, float]]:
    """Every recorded and mean loss, by step."""
    return [
        {name: value for name, value in line.items() if name == "step" or "loss" in name}
        for line in metrics(run)
        if any("loss" in name for name in line)
    ]


RECIPES = {
    "pix2pix": ["--recipe", "pix2pix", *SMALL],
    "nogan": ["--recipe", "nogan", "--feature-loss", "discriminator", *SMALL],
    "two-stage": ["--recipe", "two-stage", "--encoder-weights", "none", "--generator-arg", "width=16"],
    "places": ["--recipe", "regression", "--preset", "places"],
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_learns_and_its_checkpoint_colours(recipe: str, pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = restore_here("train", "--data", pictures, *RECIPES[recipe], *QUICK, "--steps", 40, "--output", run,
                     "--learning-rate", "1e-3", "--tensorboard")  # fmt: skip
    assert result.returncode == 0, result.stderr
    name = "loss" if recipe == "places" else "loss_G_L1"
    values = [line[name] for line in metrics(run) if name in line]
    assert np.mean(values[-3:]) < 0.9 * np.mean(values[:2])
    assert list((run / "samples").glob("*.png"))
    assert list((run / "tensorboard").glob("events*"))
    if recipe in ("pix2pix", "nogan", "two-stage"):
        last = next(line for line in reversed(metrics(run)) if "loss_G" in line)
        assert {"loss_D_fake", "loss_D_real", "loss_D", "loss_G_GAN", "loss_G_L1", "loss_G", "lr"} <= set(last)
        assert ("loss_G_feature" in last) == (recipe == "nogan")
        assert [line for line in metrics(run) if "mean_loss_G" in line], "a line for each epoch"
    grey = tmp_path / "grey.png"
    Image.fromarray(data.coffee()).convert("L").save(grey)
    result = restore_here("photos", grey, "--model", run, "--output", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    coloured = Image.open(tmp_path / "out" / "grey.png")
    assert np.array_equal(np.asarray(coloured.convert("L")), np.asarray(Image.open(grey)))
    noisy = recipe in ("pix2pix", "nogan")  # unet and residual_unet have dropout
    for i in range(2):
        result = restore_here("photos", grey, "--model", run, "--output", tmp_path / f"noisy{i}", "--dropout")
        assert (result.returncode, "has none" in result.stderr) == ((0, False) if noisy else (2, True))
    if noisy:
        first, second = (np.asarray(Image.open(tmp_path / f"noisy{i}" / "grey.png")) for i in range(2))
        assert np.array_equal(first, second)
        assert not np.array_equal(first, np.asarray(coloured))
    result = restore_here("eval", "photos", "--data", pictures, "--model", run)
    assert result.returncode == 0, result.stderr
    result = restore_here("train", "--plot", run)
    assert result.returncode == 0, result.stderr
    assert Image.open(run / "curves.png").size[0] > 1000
    listed = restore_here("runs", tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert str(json.loads((run / "config.json").read_text())["recipe"]) in listed.stdout


@pytest.mark.parametrize("recipe", ["pix2pix", "nogan"])
def test_a_killed_gan_run_goes_on_as_if_nothing_had_happened(recipe: str, pictures: Path, tmp_path: Path) -> None:
    common = ["train", "--data", pictures, *RECIPES[recipe], *QUICK, "--steps", 50, "--save-every", 7, "--degrade", 0.5]
    common += ["--discriminator-steps", 6, "--accumulate", 2, "--val-every", 10]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert restore_alone(*common, "--output", whole).returncode == 0
    command = [sys.executable, "-m", "restore", *map(str, common), "--output", str(broken)]
    reached = 0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while reached < 14 and time.monotonic() < deadline:
            time.sleep(0.02)
            if (broken / "state.pt").exists():
                reached = torch.load(broken / "state.pt", weights_only=True)["state"]["step"]
        os.killpg(process.pid, signal.SIGKILL)
    assert 0 < reached < 50, "the kill came too late to prove anything"
    result = restore_alone("train", "--resume", "--output", broken)
    assert result.returncode == 0, result.stderr
    ours, theirs = (torch.load(run / "state.pt", weights_only=True) for run in (broken, whole))
    for network in ("generator", "ema", "discriminator"):
        for name, tensor in theirs["networks"][network].items():
            assert torch.equal(ours["networks"][network][name], tensor), (network, name)
    for learner in ("generator", "discriminator"):
        for number, moments in theirs["learners"][learner]["optimizer"]["state"].items():
            for name, tensor in moments.items():
                assert torch.equal(ours["learners"][learner]["optimizer"]["state"][number][name], tensor)
    assert losses(broken) == losses(whole)


def test_a_run_is_reproduced_from_its_config(pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ["--data", pictures, *RECIPES["pix2pix"], *QUICK, "--steps", 12, "--gan-loss", "hinge", "--seed", 7]
    arguments += ["--feature-loss", "package", "--colorfulness-weight", 0.5, "--subset", 9]
    assert restore_here("train", *arguments, "--output", first).returncode == 0
    result = restore_here("train", "--config", first / "config.json", "--output", second)
    assert result.returncode == 0, result.stderr
    assert losses(first) == losses(second)
    assert "9 training and 3 held-out" in result.stderr


def test_stages_one_by_one_with_init(pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    common = ["train", "--data", pictures, "--recipe", "nogan", "--feature-loss", "none", *QUICK]
    result = restore_here(*common, *SMALL, "--stages", "pretrain", "--steps", 10, "--output", first)
    assert result.returncode == 0, result.stderr
    assert {line["stage"] for line in metrics(first) if "stage" in line} == {"pretrain"}
    result = restore_here(*common, "--init", first, "--stages", "gan", "--steps", 5, "--learning-rate", "1e-9",
                     "--output", second)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert {line["stage"] for line in metrics(second) if "stage" in line} == {"gan"}
    ours, theirs = (torch.load(run / "state.pt", weights_only=True)["networks"]["generator"] for run in (second, first))
    name = "generator.stem.0.weight"
    assert torch.allclose(ours[name], theirs[name], atol=2e-2)
    assert json.loads((second / "config.json").read_text())["generator"] == "checkpoint"
    both = tmp_path / "both"
    result = restore_here(*common, *SMALL, "--stage-steps", "6,4", "--output", both)
    assert result.returncode == 0, result.stderr
    assert [line["stage"] for line in metrics(both) if "stage" in line] == ["pretrain", "pretrain", "gan"]


def test_two_processes_learn_what_one_does(pictures: Path, tmp_path: Path) -> None:
    """With frozen normalisation and no dropout, losses and weights equal the one-process run of the same batch."""
    common = ["--data", pictures, *RECIPES["pix2pix"], "--generator-arg", "dropout=0", *QUICK, "--steps", 20]
    common += [
        "--freeze-norms",
        "all",
        "--degrade",
        0.5,
        "--learning-rate",
        "1e-4",
        "--record-every",
        1,
        "--val-every",
        10,
    ]
    alone, together = tmp_path / "alone", tmp_path / "together"
    result = restore_alone("train", *common, "--output", alone)
    assert result.returncode == 0, result.stderr
    result = torchrun(2, *common, "--output", together)
    assert result.returncode == 0, result.stderr
    assert "2 processes" in result.stderr
    ours, theirs = losses(together), losses(alone)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for mine, one in zip(ours, theirs, strict=True):
        for name, value in one.items():
            assert mine[name] == pytest.approx(value, rel=2e-3, abs=1e-4), (name, one["step"])
    measured, expected = (
        [line["validation"] for line in metrics(run) if "validation" in line] for run in (together, alone)
    )
    assert [one["pictures"] for one in measured] == [3, 3]
    for mine, one in zip(measured, expected, strict=True):
        assert mine["ab_rmse"] == pytest.approx(one["ab_rmse"], rel=1e-2)
    # And it goes on in any number of processes.
    config = together / "config.json"
    config.write_text(config.read_text().replace('"steps": 20', '"steps": 24'))
    result = torchrun(2, "--resume", "--output", together)
    assert result.returncode == 0, result.stderr
    assert metrics(together)[-2]["step"] == 24


def torchrun(count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(count),
        "--master-port",
        str(port),
    ]
    return subprocess.run(
        [*command, "-m", "train", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


def test_a_batch_that_processes_cannot_share_is_refused(pictures: Path, tmp_path: Path) -> None:
    result = torchrun(2, "--data", pictures, *RECIPES["pix2pix"], *QUICK, "--batch", 3, "--output", tmp_path / "run")
    assert result.returncode != 0
    assert "--batch 3 can't be shared by 2 processes" in result.stderr


def test_divergence_is_said_and_the_best_checkpoint_kept(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    common = ["train", "--data", pictures, *RECIPES["pix2pix"], *QUICK, "--val-every", 5, "--save-every", 5]
    assert restore_here(*common, "--steps", 10, "--output", run).returncode == 0
    good = {name: (run / name).read_bytes() for name in ("best.safetensors", "last.safetensors", "state.pt")}
    config = run / "config.json"
    text = config.read_text().replace('"steps": 10', '"steps": 400').replace('"loss": "l1"', '"loss": "mse"')
    config.write_text(text.replace('"pixel_weight": 100.0', '"pixel_weight": 1e38'))
    result = restore_here("train", "--resume", "--output", run)
    assert result.returncode == 9, result.stderr
    assert "keeps the last good state" in result.stderr
    assert "Traceback" not in result.stderr
    assert {name: (run / name).read_bytes() for name in good} == good


def test_a_collapsed_generator_is_told(pictures: Path, tmp_path: Path) -> None:
    """Trained towards colour first; then every target counts for nothing but decay, and the output turns grey."""
    from restore.errors import RestoreError
    from train.config import TrainConfig
    from train.loop import DivergedError, _Session
    from train.state import RunState
    from train.validate import Scores

    session = _Session.__new__(_Session)
    session.config = TrainConfig(output=str(tmp_path))
    session.state = RunState(step=900, best=4.0, best_step=500, peak_colorfulness=85.0)
    fine = {"colorfulness_percent": 40.0, "ab_rmse": 15.0, "ab_rmse_grey": 16.0}
    session._check_collapse(Scores(fine, "", 1.0))
    with pytest.raises(DivergedError, match=r"collapsed by step 900: colourfulness fell from 85 to 1 %.*of step 500"):
        session._check_collapse(Scores({**fine, "colorfulness_percent": 1.0}, "", 1.0))
    with pytest.raises(DivergedError, match="far above all-grey's"):
        session._check_collapse(Scores({**fine, "ab_rmse": 30.0}, "", 1.0))
    session.state.peak_colorfulness, session.state.best = 3.0, -6.0
    session._check_collapse(Scores({**fine, "colorfulness_percent": 1.0, "ab_rmse": 30.0}, "", 1.0))  # just begun
    assert issubclass(DivergedError, RestoreError)


def test_patience_ends_a_stage_and_stays_ended(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = restore_here("train", "--data", pictures, *RECIPES["pix2pix"], *QUICK, "--steps", 400, "--patience", 1,
                     "--val-every", 3, "--learning-rate", "1e-12", "--ema", 0, "--output", run)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "1 measurements without a better one" in result.stderr
    steps = torch.load(run / "state.pt", weights_only=True)["state"]["step"]
    assert steps < 400
    assert restore_here("train", "--resume", "--output", run).returncode == 0
    assert torch.load(run / "state.pt", weights_only=True)["state"]["step"] == steps


def test_a_full_disk_loses_nothing(pictures: Path, small_disk: Path) -> None:
    run = small_disk / "run"
    tiny = ["--generator-arg", "filters=2", "--discriminator-arg", "filters=2"]
    common = ["--data", pictures, *RECIPES["pix2pix"], *tiny, *QUICK, "--save-every", 2]
    result = restore_here("train", *common, "--steps", 4, "--output", run)
    assert result.returncode == 0, result.stderr
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - 24576)  # room for all but a state
    before = (run / "state.pt").read_bytes()
    config = run / "config.json"
    config.write_text(config.read_text().replace('"steps": 4', '"steps": 8'))
    result = restore_here("train", "--resume", "--output", run)
    assert result.returncode == 4, result.stderr
    assert "disk is full" in result.stderr
    assert (run / "state.pt").read_bytes() == before
    assert not list(run.glob(".*part"))
    (small_disk / "filler").unlink()
    result = restore_here("train", "--resume", "--output", run)
    assert result.returncode == 0, result.stderr
    assert torch.load(run / "state.pt", weights_only=True)["state"]["step"] == 8


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--data", "imagenet"], 3, "Download ILSVRC2012_img_train.tar"),
        (["--data", "EMPTY"], 3, "holds no pictures"),
        (["--data", "ONE"], 2, "one picture"),
        (["--data", "PICTURES", "--recipe", "nogan", "--feature-loss", "vgg", *SMALL], 3, "--feature-loss package"),
        (["--data", "PICTURES", "--recipe", "two-stage"], 3, "--encoder-weights FILE"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--encoder-weights", "imagenet"], 2, "no encoder"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--discriminator", "cell"], 2, "patch, pixel"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--discriminator-arg", "depth=3"], 2, "depth"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--discriminator-arg", "downs=7"], 2, "too small"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--stages", "pretrain"], 2, "Known: gan"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--stage-steps", "3,4"], 2, "this run has 1: gan"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--preset", "places"], 2, "--recipe regression"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--sync-batchnorm"], 2, "several GPUs"),
        (["--data", "PICTURES", "--recipe", "pix2pix", "--init", "default"], 2, "classes head"),
        (["--data", "PICTURES", "--init", "default", "--generator", "unet"], 2, "is a efficientnet_unet, not"),
        (["--data", "PICTURES", "--config", "nowhere.toml"], 3, "nowhere.toml"),
        (["--data", "PICTURES", "--config", "WRONG"], 2, "unknown key 'batches'. Did you mean 'batch'?"),
        (["--plot", "nowhere"], 3, "no training run"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], code: int, says: str, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    Image.fromarray(data.coffee()).save(tmp_path / "one" / "one.png")
    (tmp_path / "wrong.toml").write_text("batches = 3\n")
    names = {
        "PICTURES": pictures,
        "EMPTY": tmp_path / "empty",
        "ONE": tmp_path / "one",
        "WRONG": tmp_path / "wrong.toml",
    }
    environment = {**os.environ, "TORCH_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    small = [] if "--recipe" in arguments and "filters=8" not in arguments else ["--size", "64", "--working-size", "64"]
    filled = [str(names.get(argument, argument)) for argument in arguments]
    result = restore_here("train", *filled, *small, cwd=tmp_path, env=environment)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("config.json")), "nothing was begun"
