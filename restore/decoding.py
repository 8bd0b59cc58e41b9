"""How a distribution over the bins of ab becomes one colour: numbers fitted for each style and each era.

The colour of a pixel is a mode of its distribution, pulled towards the mean. It is where

    Σ p (pull · ½ d² + weight · ρ(d)),   ρ(d) = ½ reach² d² / (reach² + d²)

is least, p the shares of the bins after the era's palette, d the distance to each bin, ρ that of Geman and McClure
(1987): far bins count for little, so red and blue are decided between and not mixed to purple. Weights are fitted so
that decoded colours are distributed as true ones (`python -m train.decodings`). `restore.networks.ClassesHead` computes
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from restore.options import Era, Style

FloatArray = npt.NDArray[np.float32]

NUMBERS = ("pull", "reach", "gain")


@dataclass(frozen=True)
class Decoding:
    """Of one style and one era.

    Args:
        palette: (Q,) logarithms that are added to those of the shares: which colours the era had more of.
        weights: (Q,) above 0: what is decoded more often than a mode of the shares would be.
        pull: how much the mean counts beside the mode, above 0.
        reach: Lab units beyond which a bin hardly counts.
        gain: factor on the chroma.

    Raises:
        ValueError: numbers that can't be.
    """

    palette: tuple[float, ...]
    weights: tuple[float, ...]
    pull: float
    reach: float
    gain: float

    def __post_init__(self) -> None:
        numbers = (*self.palette, *self.weights, self.pull, self.reach, self.gain)
        if len(self.palette) != len(self.weights) or not all(math.isfinite(number) for number in numbers):
            raise ValueError("a decoding needs finite numbers for each bin")
        if min(*self.weights, self.pull, self.reach, self.gain) <= 0:
            raise ValueError("weights, pull, reach and gain of a decoding are above 0")


class Decodings:
    """All of a model's.

    Args:
        fields: era to style to the fields of `Decoding`, as a checkpoint's config holds them.

    Raises:
        ValueError: an era or a style is missing, unknown or not as it has to be.
    """

    def __init__(self, fields: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        try:
            self._all = {
                (era, style): Decoding(tuple(entry["palette"]), tuple(entry["weights"]), *(entry[n] for n in NUMBERS))
                for era, styles in fields.items()
                for style, entry in styles.items()
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"decodings are not as they have to be: {error}") from error
        wanted = {(era, style) for era in get_args(Era) for style in get_args(Style)}
        if self._all.keys() != wanted:
            raise ValueError("decodings need each style of each era, and no others")

    def tables(self, style: Style, eras: Sequence[Era]) -> tuple[FloatArray, FloatArray]:
        """For a batch of pictures.

        Args:
            eras: of each picture.

        Returns:
            (N, 2, Q): palettes and weights; (N, 3): `NUMBERS`.
        """
        chosen = [self._all[era, style] for era in eras]
        vectors = np.array([(one.palette, one.weights) for one in chosen], np.float32)
        return vectors, np.array([[getattr(one, name) for name in NUMBERS] for one in chosen], np.float32)
