"""Every option of a training run, once, with default and validation. No heavy imports: the command line reads it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restore.errors import InputError, UsageError

CONFIG_NAME = "config.json"
STATE_NAME = "state.pt"
RECIPES = ("classes", "regression")
PRECISIONS = ("auto", "fp32", "bf16", "mixed")


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Args:
        data: folder of images (any depth), tar shards, or a text file of paths.
        output: the run's folder.
        val: held-out pictures in the same forms; None takes `val_count` of `data` away, by the seed.
        recipe: `classes` (quantised ab, class-balanced) or `regression` (L1, MSE or Huber on ab).
        loss: of `regression`: l1, mse or huber.
        generator, generator_arguments: see `restore.networks.GENERATORS`.
        encoder_weights: `package` (the extra `train` brings them), `none`, or a file of the encoder's tensors.
        init: checkpoint (or `default`) whose weights to start from, with a fresh optimiser.
        size: side of the training crops in pixels.
        working_size: what the checkpoint will ask for when colouring; validation runs at it.
        batch: samples a step.
        steps, epochs, minutes: whichever is given bounds the run; 20 epochs if none is.
        learning_rate: of AdamW, for new layers; `encoder_learning_rate` for pretrained ones.
        warmup: share of the run over which the learning rate rises; it falls along a cosine afterwards.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights that are validated and saved.
        degrade: 0 to 1, how often and how much the input L is degraded like old film.
        crop: smallest share of the short side that a crop covers.
        temperature, rebalance: decoding of `classes`, see `restore.networks.HeadConfig`.
        precision: fp32, bf16, mixed (bf16 with the depthwise encoder in fp32), or auto: the fastest when timed.
        workers: processes that decode and crop; None is one per core, at most 8.
        val_count: held-out pictures that are measured. `val_every`: steps between measurements.
        save_every: steps between writes of the training state.
    """

    data: str
    output: str
    val: str | None = None
    recipe: str = "classes"
    loss: str = "l1"
    generator: str = "efficientnet_unet"
    generator_arguments: dict[str, Any] = field(default_factory=dict)
    encoder_weights: str = "package"
    init: str | None = None
    size: int = 128
    working_size: int = 256
    batch: int = 32
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.03
    clip: float = 1.0
    ema: float = 0.999
    degrade: float = 0.5
    crop: float = 0.6
    temperature: float = 0.7
    rebalance: float = 0.0
    precision: str = "auto"
    device: str = "auto"
    workers: int | None = None
    val_count: int = 200
    val_every: int = 1000
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("--recipe", self.recipe, RECIPES)
        _one_of("--loss", self.loss, ("l1", "mse", "huber"))
        _one_of("--precision", self.precision, PRECISIONS)
        for name in ("batch", "size", "working_size", "val_count", "val_every", "save_every"):
            _at_least(name, getattr(self, name), 1)
        for name in ("steps", "epochs", "minutes", "learning_rate", "encoder_learning_rate", "clip", "temperature"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{_flag(name)} must be above 0, not {value}")
        for name in ("seed", "workers", "weight_decay"):
            if (value := getattr(self, name)) is not None:
                _at_least(name, value, 0)
        for name in ("degrade", "crop", "ema", "warmup", "rebalance"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{_flag(name)} must be between 0 and 1, not {getattr(self, name)}")
        if self.size % 32:
            raise UsageError(f"--size must be a multiple of 32, not {self.size}")

    @property
    def folder(self) -> Path:
        return Path(self.output)

    def total_steps(self, samples: int) -> int | None:
        """The run's length in steps, or None where only time bounds it."""
        bounds = [self.steps] if self.steps else []
        epochs = self.epochs or (None if self.steps or self.minutes else 20)
        if epochs:
            bounds.append(max(1, round(epochs * samples / self.batch)))
        return min(bounds) if bounds else None

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def read_config(folder: Path) -> TrainConfig:
    """The resolved config that a run wrote into its folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / CONFIG_NAME
    try:
        return TrainConfig(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{folder} is no training run: {CONFIG_NAME} can't be read", "Give --output RUN") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{flag} {value!r} is unknown", f"Known: {', '.join(known)}")


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise UsageError(f"{_flag(name)} must be at least {least}, not {value}")
