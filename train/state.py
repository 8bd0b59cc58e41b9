"""The state of a run: what `--resume` needs, and the averaged weights that are shown and saved."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from restore.errors import InputError
from restore.files import write_atomically
from restore.networks import Model
from train.config import STATE_NAME

_EACH, _EVERY = 100, 4  # so many steps are averaged each, then every fourth


class Ema:
    """Exponential moving average of a model's weights; it starts fast, so that early weights are soon forgotten, and
    then takes every fourth step only, as its time is that of going through all weights."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Move towards `model`; BatchNorm's statistics are averaged like the weights they go with."""
        every = _EVERY if step > _EACH else 1
        if step % every:
            return
        decay = min(self.decay, (1 + step) / (10 + step)) ** every
        ours, theirs = self.model.state_dict(), model.state_dict()
        floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], 1 - decay)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])


@dataclass
class RunState:
    """Where a run stands.

    Args:
        step, seconds: of training, in all.
        stage, stage_step, stage_seconds: which stage, and where in it.
        stage_over: `--patience` has ended the stage.
        best, best_step: the highest rank so far, and where it was measured.
        peak_colorfulness: the highest measured so far, in % of the originals'; a collapse is told by it.
        broken: unreadable pictures, and the steps that met them first.
        sums, summed: losses of the epoch so far, and of how many steps.
    """

    step: int = 0
    seconds: float = 0.0
    stage: int = 0
    stage_step: int = 0
    stage_seconds: float = 0.0
    stage_over: bool = False
    best: float = float("-inf")
    best_step: int = 0
    peak_colorfulness: float = 0.0
    broken: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0


@dataclass
class Saved:
    """A state file's content; learners are filled when their stage begins."""

    run: RunState
    learners: dict[str, Any]


def save_state(
    folder: Path, state: RunState, networks: Mapping[str, nn.Module], learners: Mapping[str, dict[str, Any]]
) -> None:
    """Write everything a resumed run needs, atomically.

    Order of data, augmentation and dropout follow from seed and step, and so does the schedule.

    Args:
        networks: generator, its average, and the discriminator if there is one.
        learners: of the stage in hand: optimiser and scaler.
    """
    content = {
        "state": vars(state),
        "networks": {name: network.state_dict() for name, network in networks.items()},
        "learners": dict(learners),
    }
    write_atomically(folder / STATE_NAME, lambda stream: torch.save(content, stream))


def load_state(folder: Path, networks: Mapping[str, nn.Module]) -> Saved:
    """The inverse of `save_state`; fills the networks.

    Raises:
        InputError: a damaged state.
    """
    path = folder / STATE_NAME
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for name, network in networks.items():
            network.load_state_dict(content["networks"][name])
        return Saved(RunState(**content["state"]), content["learners"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is damaged: {str(error).splitlines()[0]}", "Start anew from best.safetensors with --init"
        ) from error
