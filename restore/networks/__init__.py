"""Generators and heads, built from a config by one explicit table. To add one, see docs/adding-a-model.md."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.networks.config import GeneratorConfig, HeadConfig, ModelConfig
from restore.networks.efficientnet_unet import EfficientNetUNet
from restore.networks.heads import ClassesHead, Head, RegressionHead, build_head
from restore.networks.residual_unet import ResidualUNet
from restore.networks.resnet_regression import ResNetRegression
from restore.networks.resnet_unet import ResNetUNet
from restore.networks.unet import UNet

__all__ = [
    "GENERATORS",
    "ClassesHead",
    "GeneratorConfig",
    "HeadConfig",
    "Model",
    "ModelConfig",
    "RegressionHead",
    "build_model",
    "can_take_hints",
]

GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "residual_unet": ResidualUNet,
    "resnet_unet": ResNetUNet,
    "resnet_regression": ResNetRegression,
    "efficientnet_unet": EfficientNetUNet,
}


def can_take_hints(architecture: str) -> bool:
    """Whether a generator of the table can be built so that it takes hints, by its argument `hints`."""
    return "hints" in inspect.signature(GENERATORS[architecture]).parameters


class Model(nn.Module):
    """A generator and its head.

    `forward` takes scaled L (N, 1, S, S) and returns ab (N, 2, h, w) in Lab units, with `doubt` a third channel: how
    far they are expected to be from the truth (heads of classes only). `raw` returns what the loss needs. Where it
    `takes_hints`, both take (N, 3, S, S) as well: a and b divided by `color.AB_SCALE`, and a mask of 0 and 1.
    `fitted` is what `restore.decoding.Decodings.tables` gives, for heads that have them.
    """

    def __init__(self, generator: nn.Module, head: Head, config: ModelConfig) -> None:
        super().__init__()
        self.generator = generator
        self.head = head
        self.config = config

    @property
    def takes_hints(self) -> bool:
        return bool(getattr(self.generator, "takes_hints", False))

    def raw(self, scaled_l: Tensor, hints: Tensor | None = None) -> Tensor:
        return self.generator(scaled_l) if hints is None else self.generator(scaled_l, hints)

    def at_output(self, scaled_l: Tensor) -> Tensor:
        """L at the size of `raw`, as heads want it beside that."""
        return F.avg_pool2d(scaled_l.float(), int(self.generator.output_stride))  # type: ignore[arg-type]

    def forward(
        self,
        scaled_l: Tensor,
        doubt: bool = False,
        hints: Tensor | None = None,
        fitted: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        if not doubt and fitted is None:
            return self.head.decode(self.raw(scaled_l, hints), self.at_output(scaled_l))
        ab, shares = self.distribution(scaled_l, hints, fitted)
        assert isinstance(self.head, ClassesHead)
        return torch.cat((ab, self.head.doubt(shares, ab)), dim=1) if doubt else ab

    def distribution(
        self, scaled_l: Tensor, hints: Tensor | None = None, fitted: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """ab as `forward` gives it, and the shares of the bins that it was made of, (N, h, w, Q): heads of classes."""
        assert isinstance(self.head, ClassesHead)
        raw, small_l = self.raw(scaled_l, hints), self.at_output(scaled_l)
        if fitted is None:
            return self.head.decode(raw, small_l), self.head.shares(raw)
        (palette, weights), numbers = fitted[0].unbind(1), fitted[1]
        shares = self.head.shares(raw, palette)
        return self.head.decode_fitted(shares, small_l, weights, numbers), shares


def build_model(config: ModelConfig) -> Model:
    """Build the model a config describes, with fresh weights.

    Raises:
        ValueError: unknown architecture or head, an argument the architecture does not take, or a working size that
            it can't halve often enough.
    """
    name = config.generator.architecture
    if name not in GENERATORS:
        raise ValueError(f"unknown architecture {name!r}; known: {', '.join(GENERATORS)}")
    head = build_head(config.head)
    try:
        generator = GENERATORS[name](out_channels=head.out_channels, tanh=head.tanh, **config.generator.arguments)
    except TypeError as error:
        raise ValueError(f"{name} does not take these arguments: {error}") from error
    multiple = int(generator.input_multiple)  # type: ignore[arg-type]
    if config.working_size % multiple or config.working_size < multiple:
        raise ValueError(f"{name} needs a working size that is a multiple of {multiple}, not {config.working_size}")
    return Model(generator, head, config)
