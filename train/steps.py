"""One step of each kind: of one network, and of a generator with its discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from train.config import TrainConfig
from train.discriminators import picture
from train.features import matching_loss
from train.learner import Learner
from train.losses import adversarial_loss, at_size, colorfulness_loss, discriminator_loss, pixel_loss


class Chunk(NamedTuple):
    """A batch, or a part of one.

    Args:
        seen: what the network sees: scaled L (N, 1, S, S), and where it takes hints, those (N, 3, S, S).
        ab: clean, (N, 2, S, S) in Lab units.
    """

    seen: tuple[Tensor, ...]
    ab: Tensor


Step = Callable[[Sequence[Chunk]], dict[str, Tensor]]
"""Learns from a batch, in one part or several, and returns its losses as scalars."""

Autocast = Callable[[], AbstractContextManager[object]]


def plain_step(generator: Learner, loss: Callable[[Tensor, Tensor], Tensor], autocast: Autocast) -> Step:
    """One network, one loss of its output and ab in Lab units."""

    def step(chunks: Sequence[Chunk]) -> dict[str, Tensor]:
        total = torch.zeros((), device=chunks[0].ab.device)
        for i, (seen, ab) in enumerate(chunks):
            with generator.part(last=i == len(chunks) - 1):
                with autocast():
                    value = loss(generator(*seen), ab) / len(chunks)
                generator.backward(value)
            total += value.detach()
        return {"loss": total, "norm": generator.step()}

    return step


@dataclass(frozen=True)
class Objective:
    """What a generator is asked for, beside or without an adversary.

    Args:
        config: names and weights of the losses.
        feature: a frozen network's feature loss, or None.
        adversarial: whether fooling the discriminator counts; without it, a discriminator only lends its features.
    """

    config: TrainConfig
    feature: nn.Module | None
    adversarial: bool

    def losses(
        self, scaled_l: Tensor, fake: Tensor, real: Tensor, maps: tuple[list[Tensor], list[Tensor]] | None
    ) -> dict[str, Tensor]:
        """
        Args:
            maps: of the discriminator's layers on fake and real, where there is a discriminator.
        """
        config = self.config
        values = {"loss_G_L1": config.pixel_weight * pixel_loss(config.loss, fake, real)}
        if self.adversarial and maps is not None:
            values["loss_G_GAN"] = config.gan_weight * adversarial_loss(config.gan_loss, maps[0][-1])
        if self.feature is not None:
            values["loss_G_feature"] = config.feature_weight * self.feature(scaled_l, fake, real)
        elif config.feature_loss == "discriminator" and maps is not None:
            values["loss_G_feature"] = config.feature_weight * matching_loss(maps[0][:-1], maps[1][:-1])
        if config.colorfulness_weight:
            values["loss_G_color"] = config.colorfulness_weight * colorfulness_loss(scaled_l, fake, config.ab_scale)
        return values


def gan_step(generator: Learner, discriminator: Learner, objective: Objective, autocast: Autocast) -> Step:
    """Discriminator first (real and detached fake), then the generator with the discriminator frozen."""
    config, judge = objective.config, discriminator.network

    def step(chunks: Sequence[Chunk]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        fakes: list[Tensor] = []
        for i, (seen, ab) in enumerate(chunks):
            last = i == len(chunks) - 1
            with generator.part(last), discriminator.part(last):
                with autocast():
                    fake = generator(*seen)
                    pictures = _pictures(seen[0], fake, ab, config)
                    halves = discriminator_loss(
                        config.gan_loss, discriminator(pictures[1])[-1], discriminator(pictures[0].detach())[-1]
                    )
                discriminator.backward((halves[0] + halves[1]) / (2 * len(chunks)))
            _add(sums, {"loss_D_real": halves[0], "loss_D_fake": halves[1]}, len(chunks))
            fakes.append(fake)
            if len(chunks) > 1:
                fakes[-1] = fake.detach()  # its graph would keep the memory that parts are there to save
        norm_d = discriminator.step()

        judge.requires_grad_(False)
        for i, ((seen, ab), fake) in enumerate(zip(chunks, fakes, strict=True)):
            with generator.part(last=i == len(chunks) - 1):
                with autocast():
                    if len(chunks) > 1:
                        fake = generator(*seen)
                    pictures = _pictures(seen[0], fake, ab, config)
                    with torch.no_grad():
                        on_real = judge(pictures[1]) if config.feature_loss == "discriminator" else []
                    values = objective.losses(
                        seen[0], fake.float(), ab / config.ab_scale, (judge(pictures[0]), on_real)
                    )
                    values["loss_G"] = torch.stack(list(values.values())).sum()
                generator.backward(values["loss_G"] / len(chunks))
            _add(sums, values, len(chunks))
        judge.requires_grad_(True)
        norm = generator.step()
        sums["loss_D"] = (sums["loss_D_real"] + sums["loss_D_fake"]) / 2
        return {**sums, "norm_D": norm_d, "norm": norm}

    return step


def feature_step(generator: Learner, objective: Objective, autocast: Autocast) -> Step:
    """The generator alone: pixel and feature losses, no discriminator."""

    def step(chunks: Sequence[Chunk]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for i, (seen, ab) in enumerate(chunks):
            with generator.part(last=i == len(chunks) - 1):
                with autocast():
                    fake = generator(*seen)
                    values = objective.losses(seen[0], fake.float(), ab / objective.config.ab_scale, None)
                    values["loss_G"] = torch.stack(list(values.values())).sum()
                generator.backward(values["loss_G"] / len(chunks))
            _add(sums, values, len(chunks))
        return {**sums, "norm": generator.step()}

    return step


def discriminator_step(generator: nn.Module, discriminator: Learner, config: TrainConfig, autocast: Autocast) -> Step:
    """The discriminator alone, on what the generator gives as it is."""

    def step(chunks: Sequence[Chunk]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for i, (seen, ab) in enumerate(chunks):
            with discriminator.part(last=i == len(chunks) - 1):
                with autocast():
                    with torch.no_grad():
                        pictures = _pictures(seen[0], generator(*seen), ab, config)
                    halves = discriminator_loss(
                        config.gan_loss, discriminator(pictures[1])[-1], discriminator(pictures[0])[-1]
                    )
                discriminator.backward((halves[0] + halves[1]) / (2 * len(chunks)))
            _add(sums, {"loss_D_real": halves[0], "loss_D_fake": halves[1]}, len(chunks))
        sums["loss_D"] = (sums["loss_D_real"] + sums["loss_D_fake"]) / 2
        return {**sums, "norm_D": discriminator.step()}

    return step


def _pictures(scaled_l: Tensor, fake: Tensor, ab: Tensor, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """What the discriminator sees of fake and real."""
    real = at_size(ab, *fake.shape[-2:]) / config.ab_scale
    return picture(scaled_l, fake.float()), picture(scaled_l, real)


def _add(sums: dict[str, Tensor], values: dict[str, Tensor], parts: int) -> None:
    for name, value in values.items():
        sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach().float() / parts
