"""Recipe `regression`: L1, MSE or Huber on ab. Steady and pale: the mean of all plausible colours is brown.

Preset `places`: `resnet_regression` and MSE on random resized crops of Places205.
"""

from __future__ import annotations

from torch import Tensor

from train.config import TrainConfig
from train.loop import Learning, Stage, train
from train.losses import pixel_loss
from train.recipes.common import autocast_of, chosen_stages, generator_learner, prepared, single
from train.steps import plain_step


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    with prepared(config, "regression", resume=resume, quiet=quiet) as run:

        def loss(output: Tensor, ab: Tensor) -> Tensor:
            return pixel_loss(config.loss, output, ab / run.config.ab_scale)

        def regression() -> Learning:
            learner = generator_learner(run, encoder_rate=config.encoder_learning_rate)
            return single(learner, plain_step(learner, loss, autocast_of(run)))

        train(run, chosen_stages(config, {"regression": Stage("regression", 1.0, regression)}))
