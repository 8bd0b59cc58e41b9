"""Recipe `classes`: class-balanced classification of quantised ab (Zhang, Isola, Efros 2016, arXiv:1603.08511).

Vivid without an adversary: the loss weighs rare colours up, and the distribution's annealed mean is the colour.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from restore.errors import UsageError
from restore.networks import ClassesHead, Model
from restore.networks.heads import class_weights
from train.config import TrainConfig
from train.data import CropDataset
from train.inputs import clean_ab
from train.loop import Run, train
from train.losses import SoftLabels, at_size, balanced_cross_entropy
from train.recipes.common import prepare

_PRIOR_PICTURES = 2000


def run(config: TrainConfig, *, resume: bool, quiet: bool) -> None:
    parts = prepare(config, "classes")
    model, head = parts.model, parts.model.head
    if not isinstance(head, ClassesHead):
        raise UsageError("recipe classes needs a checkpoint with a classes head", "Give another --init")
    if config.init is None and not resume:
        head.weights.copy_(
            class_weights(_prior(CropDataset(parts.training, config.size, config.crop, config.seed), head))
        )
    head.to(parts.device)
    labels = SoftLabels(head.bins)

    def loss(model: Model, scaled_l: Tensor, ab: Tensor) -> Tensor:
        return balanced_cross_entropy(model.raw(scaled_l), ab, labels, head.weights)

    train(Run(config, model, loss, parts.device, parts.training, parts.held_out, resume, quiet))


def _prior(dataset: CropDataset, head: ClassesHead) -> Tensor:
    """How often each bin occurs, counted over crops of up to 2,000 pictures at a quarter of their size; (Q,)."""
    labels = SoftLabels(head.bins)
    counts = torch.zeros(head.out_channels)
    picked = np.linspace(0, len(dataset.source) - 1, min(_PRIOR_PICTURES, len(dataset.source))).astype(int)
    for number in picked:
        ab = clean_ab(dataset[int(number)].rgb[None])
        counts += labels.prior(labels.rows(at_size(ab, dataset.size // 4, dataset.size // 4)))
    return counts
