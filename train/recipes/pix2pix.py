"""Recipe `pix2pix`: conditional GAN with 100·L1, from scratch (Isola et al. 2017, arXiv:1611.07004).

Presets `coco-sample` and `landscapes`: two published set-ups, see `train.presets`.
"""

from __future__ import annotations

from train.config import TrainConfig
from train.features import build_feature_loss
from train.loop import train
from train.recipes.adversarial import discriminator_stage, gan_stage
from train.recipes.common import chosen_stages, prepared


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    with prepared(config, "regression", discriminator=True, resume=resume, quiet=quiet) as run:
        feature = build_feature_loss(run.config, run.device)  # first: its weights may not be there
        stages = {"gan": gan_stage(run, feature)}
        chosen = chosen_stages(config, stages)
        train(run, [discriminator_stage(run), *chosen] if config.discriminator_steps else chosen)
