"""Recipe `regression`: L1, MSE or Huber on ab. Steady and pale: the mean of all plausible colours is brown."""

from __future__ import annotations

from torch import Tensor

from restore.networks import Model
from train.config import TrainConfig
from train.loop import Run, train
from train.losses import regression_loss
from train.recipes.common import prepare


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    parts = prepare(config, "regression")

    def loss(model: Model, scaled_l: Tensor, ab: Tensor) -> Tensor:
        return regression_loss(config.loss, model.raw(scaled_l), ab)

    train(Run(config, parts.model, loss, parts.device, parts.training, parts.held_out, resume, quiet))
