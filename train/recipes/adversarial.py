"""The stages that GAN recipes put together: pretraining, the discriminator's own steps, and the GAN."""

from __future__ import annotations

from torch import nn

from train.loop import Learning, Run, Stage
from train.recipes.common import autocast_of, discriminator_learner, generator_learner, share_of, single
from train.steps import Objective, discriminator_step, feature_step, gan_step


def pretrain_stage(run: Run, feature: nn.Module | None, *, features: bool) -> Stage:
    """Without the adversary: the pixel loss, and the feature loss if `features`.

    Where the features are to be the discriminator's, it learns to judge meanwhile; fooling it counts for nothing.
    """

    def begin() -> Learning:
        config = run.config
        learner = generator_learner(run, config.pretrain_learning_rate, config.encoder_learning_rate)
        objective = Objective(config, feature if features else None, adversarial=False)
        if features and config.feature_loss == "discriminator":
            judge = discriminator_learner(run)
            step = gan_step(learner, judge, objective, autocast_of(run))
            return Learning({"generator": learner, "discriminator": judge}, step)
        return single(learner, feature_step(learner, objective, autocast_of(run)))

    return Stage("pretrain", share_of(run.config, "pretrain"), begin)


def discriminator_stage(run: Run) -> Stage:
    """`--discriminator-steps`: the discriminator learns alone, on what the generator gives so far."""

    def begin() -> Learning:
        judge = discriminator_learner(run)
        step = discriminator_step(run.model.generator, judge, run.config, autocast_of(run))
        return Learning({"discriminator": judge}, step)

    return Stage("discriminator", 0.0, begin, measured=False)


def gan_stage(run: Run, feature: nn.Module | None) -> Stage:
    """Discriminator, then generator, in each step."""

    def begin() -> Learning:
        config = run.config
        learner = generator_learner(run, encoder_rate=config.encoder_learning_rate)
        judge = discriminator_learner(run)
        objective = Objective(config, feature, adversarial=True)
        step = gan_step(learner, judge, objective, autocast_of(run))
        return Learning({"generator": learner, "discriminator": judge}, step)

    return Stage("gan", share_of(run.config, "gan"), begin)
