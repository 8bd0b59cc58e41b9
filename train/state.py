"""The state of a run: what `--resume` needs, and the averaged weights that are shown and saved."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from restore.errors import InputError
from restore.files import write_atomically
from restore.networks import Model
from train.config import STATE_NAME


class Ema:
    """Exponential moving average of a model's weights; it starts fast, so that early weights are soon forgotten."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Move towards `model`; BatchNorm's statistics are averaged like the weights they go with."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.model.state_dict(), model.state_dict()
        floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], 1 - decay)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])


@dataclass
class RunState:
    """Where a run stands. `broken` has the names of unreadable pictures, and the steps that met them first."""

    step: int = 0
    seconds: float = 0.0
    best: float = float("-inf")
    broken: dict[str, int] = field(default_factory=dict)


def save_state(folder: Path, state: RunState, model: Model, ema: Ema, optimizer: Optimizer) -> None:
    """Write everything a resumed run needs, atomically. Order of data and augmentation follow from seed and step."""
    content = {
        "state": vars(state),
        "model": model.state_dict(),
        "ema": ema.model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    write_atomically(folder / STATE_NAME, lambda stream: torch.save(content, stream))


def load_state(folder: Path, model: Model, ema: Ema, optimizer: Optimizer) -> RunState:
    """The inverse of `save_state`.

    Raises:
        InputError: no state in this folder, or a damaged one.
    """
    path = folder / STATE_NAME
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(content["model"])
        ema.model.load_state_dict(content["ema"])
        optimizer.load_state_dict(content["optimizer"])
        return RunState(**content["state"])
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} holds no {STATE_NAME}: the run ended before it saved anything",
            "Delete the folder and start anew",
        ) from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is damaged: {str(error).splitlines()[0]}", "Start anew from best.safetensors with --init"
        ) from error
