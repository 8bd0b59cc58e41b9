"""Training with hints by the real command: a model grows layers for them, listens, and resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from restore.checkpoint import load_checkpoint
from restore.model_files import find_checkpoint
from tests.command import restore_here
from tests.integration.test_train import metrics, pictures
from train.hints import simulated_hints

__all__ = ["pictures"]

QUICK = ["--size", "32", "--batch", "4", "--workers", "0", "--val-count", "2", "--precision", "fp32", "--device", "cpu"]


def test_a_model_without_hints_grows_and_all_else_stays(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = restore_here(
        "train", "--data", pictures, "--init", "default", "--hints", "0.6", "--steps", "1", "--output", run, *QUICK,
        "--learning-rate", "1e-9", "--encoder-learning-rate", "1e-9",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    shipped, _ = load_checkpoint(find_checkpoint("default"))
    grown, _ = load_checkpoint(run / "last.safetensors")
    assert (shipped.takes_hints, grown.takes_hints) == (False, True)
    ours, theirs = grown.state_dict(), shipped.state_dict()
    assert ours.keys() - theirs.keys() == {f"generator.told.layers.{i}.weight" for i in range(5)}
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)
    # Not told, it says what the shipped model says, to the last bit of equal weights.
    shipped.load_state_dict({name: ours[name] for name in theirs})
    scaled_l = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.no_grad():
        assert torch.equal(grown.eval()(scaled_l), shipped.eval()(scaled_l))


def test_stopped_and_resumed_with_hints_equals_uninterrupted(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    common = ["train", "--data", pictures, "--hints", "0.7", "--encoder-weights", "none", "--steps", "12", *QUICK]
    common += ["--save-every", "3", "--seed", "5", "--working-size", "64"]
    result = restore_here(*common, "--output", whole)
    assert result.returncode == 0, result.stderr
    steps = iter(range(8))

    def stopped(*arguments: Any) -> torch.Tensor:
        if next(steps) == 7:
            raise KeyboardInterrupt  # in the middle of a step, which is not saved
        return simulated_hints(*arguments)

    with monkeypatch.context() as during:
        during.setattr("train.loop.simulated_hints", stopped)
        assert restore_here(*common, "--output", broken).returncode == 130
    assert torch.load(broken / "state.pt", weights_only=True)["state"]["step"] == 6
    result = restore_here("train", "--resume", "--output", broken)
    assert result.returncode == 0, result.stderr
    ours, theirs = load_file(broken / "last.safetensors"), load_file(whole / "last.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(ours[name].any() for name in ours if ".told." in name)
    model, _ = load_checkpoint(whole / "last.safetensors")
    scaled_l, hints = torch.rand(1, 1, 64, 64) * 2 - 1, torch.zeros(1, 3, 64, 64)
    hints[:, :, 20:24, 40:44] = torch.tensor([0.5, -0.3, 1.0])[:, None, None]
    with torch.no_grad():
        assert not torch.equal(model.eval()(scaled_l, hints=hints), model(scaled_l)), "it listens"
    assert [m.get("loss") for m in metrics(broken)] == [m.get("loss") for m in metrics(whole)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hints", "0.5", "--generator", "unet", "--encoder-weights", "none"], "generator unet takes none"),
        (["--hints", "1.5"], "--hints must be between 0 and 1"),
    ],
)
def test_hints_that_can_not_be_are_said(arguments: list[str], says: str, pictures: Path, tmp_path: Path) -> None:
    result = restore_here("train", "--data", pictures, "--steps", "1", "--output", tmp_path / "run", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
