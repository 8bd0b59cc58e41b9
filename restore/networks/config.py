"""What a checkpoint says of its network: enough to build it again, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from restore.color import AB_SCALE


@dataclass(frozen=True)
class GeneratorConfig:
    """A generator's name in the table of `restore.networks` and its arguments.

    The head decides the output's channels, so `out_channels` and `tanh` are not among the arguments.
    """

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadConfig:
    """How a generator's output becomes ab.

    Args:
        kind: `regression` (two channels, tanh) or `classes` (logits over quantised ab).
        temperature: annealed mean, T in softmax(logits/T) (Zhang et al. 2016, 0.38 there). `classes` only.
        rebalance: u in softmax((logits − u·log w)/T): 0 keeps the vivid, class-balanced distribution that the
            network was trained towards, 1 gives back the natural one. `classes` only.
        vividness: None for the annealed mean; else the colour of least expected cost instead, which needs neither T nor
            u: what an error in a rare colour costs beside one in a common colour, in Lab units. 0 is calm, 30 vivid.
        shadow: share of the picture's largest L* below which vividness falls with the square of L*, so that what is
            dark gets no strong colours; 0 for none.
        decodings: fitted numbers of the styles and eras, as `restore.decoding.Decodings` takes them, which make modes
            of the shares instead; temperature, rebalance and vividness play no part then. `classes` only.
        ab_scale: ab of which the network says 1, in Lab units; 110, or 128 in one published project. `regression` only.
    """

    kind: str
    temperature: float = 0.7
    rebalance: float = 0.0
    vividness: float | None = None
    shadow: float = 0.0
    decodings: dict[str, Any] | None = None
    ab_scale: float = AB_SCALE


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a model and to feed it.

    Args:
        working_size: height and width of the network's input in pixels.
    """

    generator: GeneratorConfig
    head: HeadConfig
    working_size: int = 256
