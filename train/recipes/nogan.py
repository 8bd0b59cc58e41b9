"""Recipe `nogan`: most of the training with 100·L1 and a feature loss, then a GAN stage (after DeOldify's NoGAN)."""

from __future__ import annotations

from train.config import TrainConfig
from train.features import build_feature_loss
from train.loop import train
from train.recipes.adversarial import discriminator_stage, gan_stage, pretrain_stage
from train.recipes.common import chosen_stages, prepared


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    with prepared(config, "regression", discriminator=True, resume=resume, quiet=quiet) as run:
        feature = build_feature_loss(run.config, run.device)  # first: its weights may not be there
        stages = chosen_stages(
            config, {"pretrain": pretrain_stage(run, feature, features=True), "gan": gan_stage(run, feature)}
        )
        if config.discriminator_steps and stages[-1].name == "gan":
            stages.insert(len(stages) - 1, discriminator_stage(run))
        train(run, stages)
