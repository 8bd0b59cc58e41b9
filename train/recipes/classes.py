"""Recipe `classes`: class-balanced classification of quantised ab (Zhang, Isola, Efros 2016, arXiv:1603.08511).

Vivid without an adversary: the loss weighs rare colours up, and the distribution's annealed mean is the colour.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from restore.networks import ClassesHead
from restore.networks.heads import class_weights
from train.config import TrainConfig
from train.data import CropDataset
from train.framing import Framing
from train.inputs import clean_ab
from train.loop import Learning, Stage, train
from train.losses import SoftLabels, at_size, balanced_cross_entropy
from train.recipes.common import autocast_of, chosen_stages, generator_learner, prepared, single
from train.steps import plain_step

_PRIOR_PICTURES = 2000


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    with prepared(config, "classes", resume=resume, quiet=quiet) as run:
        head = run.model.head
        assert isinstance(head, ClassesHead), "prepared() sees to it"
        if config.init is None and not resume:
            crops = CropDataset(run.training, Framing.of(config), config.seed, run.cache)
            prior = _prior(crops, head.bins.cpu())
            head.weights.copy_(class_weights(prior))
        labels = SoftLabels(head.bins)

        def loss(logits: Tensor, ab: Tensor) -> Tensor:
            return balanced_cross_entropy(logits, ab, labels, head.weights)

        def classes() -> Learning:
            learner = generator_learner(run, encoder_rate=config.encoder_learning_rate)
            return single(learner, plain_step(learner, loss, autocast_of(run)))

        train(run, chosen_stages(config, {"classes": Stage("classes", 1.0, classes)}))


def _prior(dataset: CropDataset, bins: Tensor) -> Tensor:
    """How often each bin occurs, counted over crops of up to 2,000 pictures at a quarter of their size; (Q,)."""
    labels = SoftLabels(bins)
    counts = torch.zeros(len(bins))
    picked = np.linspace(0, len(dataset.source) - 1, min(_PRIOR_PICTURES, len(dataset.source))).astype(int)
    side = dataset.framing.size // 4
    for number in picked:
        ab = clean_ab(dataset[int(number)].rgb)
        counts += labels.prior(labels.rows(at_size(ab, side, side)))
    return counts
