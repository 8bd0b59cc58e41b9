"""What the engine asks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from restore.errors import UsageError
from restore.options import Era, EraChoice, Runtime, Style

FloatArray = npt.NDArray[np.float32]

# What an error in a rare colour costs beside one in a common colour, see `restore.networks.HeadConfig.vividness`.
VIVIDNESS: dict[Style, float] = {"natural": 18.0, "vivid": 36.0}


@dataclass(frozen=True, eq=False)
class Classes:
    """Quantised colours, where a model guesses how likely each is.

    Args:
        bins: (Q, 2) ab in Lab units.
        weights: (Q,) class weights of the loss that it was trained by.
    """

    bins: FloatArray
    weights: FloatArray

    def doubt(self, ab: FloatArray, shares: FloatArray) -> FloatArray:
        """How far ab is expected to be from the truth, as `restore.networks.ClassesHead.doubt`: (N, 2, h, w) in Lab
        units and (N, h, w, Q) to (N, 1, h, w)."""
        points = ab.transpose(0, 2, 3, 1)
        squared = np.square(points).sum(-1, keepdims=True) - 2 * (points @ self.bins.T)
        squared += np.square(self.bins).sum(1)
        return np.asarray(np.einsum("nhwq,nhwq->nhw", shares, np.sqrt(squared.clip(0))), np.float32)[:, None]


class ColorModel(Protocol):
    """Anything that guesses ab from a small picture of luma. Arrays go in and come out, whatever runs inside."""

    name: str
    sha256: str
    working_size: int
    size_multiple: int
    """The working size has to be a multiple of this."""
    classes: Classes | None
    """What its distribution is over; None for a model that guesses one colour, and can't say how sure it is."""
    takes_hints: bool
    """Whether it can be told colours."""
    knows_eras: bool
    """Whether its colours depend on the era."""

    @property
    def runtime(self) -> Runtime:
        """What computes."""

    @property
    def device(self) -> str:
        """Where it computes, once it is prepared."""

    @property
    def dtype(self) -> str:
        """What it computes in, once it is prepared."""

    def prepare(self, device: str, dtype: str | None, threads: int | None) -> None:
        """Get ready to compute on a device.

        Args:
            device: as `EngineOptions` has it; "auto" chooses.
            dtype: None chooses what is fastest there.
            threads: of each call, where several calls go on at a time on a CPU; None is all processors.

        Raises:
            DeviceError: the device is not there, or is none for this model.
        """

    def predict(
        self,
        luma: FloatArray,
        doubt: bool = False,
        hints: FloatArray | None = None,
        eras: Sequence[Era] | None = None,
    ) -> FloatArray:
        """(N, S, S) luma in [0, 1] to ab (N, 2, h, w) float32 in Lab units, h, w ≤ S. On a CPU, from several threads at
        a time.

        Args:
            doubt: (N, 3, h, w) instead: a, b, and how far they are expected to be from the truth, in Lab units. Asked
                for only where it has `classes`.
            hints: (N, 3, S, S): a and b in Lab units and a mask of 0 and 1, all 0 where nothing is told, as
                `restore.hints.draw_hints` gives them. Given only where `takes_hints`.
            eras: of each picture; None is `period` for all. Without `knows_eras` they count for nothing.
        """

    def distribution(
        self, luma: FloatArray, hints: FloatArray | None = None, eras: Sequence[Era] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """The same ab, and the shares that the `classes` are thought to have in nature, after the eras' palettes,
        (N, h, w, Q) float32."""


def choose_vividness(name: str, own: float | None, has_styles: bool, style: Style | None) -> float | None:
    """How vivid a model is asked to be; None for a model that is not asked.

    Args:
        name: of the model, for the error.
        own: what it would take by itself; None for one that decodes otherwise unless it is told.
        has_styles: whether it can be told.
        style: what the user asked for.

    Raises:
        UsageError: a style is asked for, and the model has none.
    """
    if style is not None and not has_styles:
        raise UsageError(f"model {name} has no styles: it was not trained by recipe classes", "Leave --style out")
    return own if style is None else VIVIDNESS[style]


def check_era(name: str, knows_eras: bool, era: EraChoice) -> None:
    """Raises UsageError where an era is asked for, and the model knows none."""
    if era != "auto" and not knows_eras:
        raise UsageError(f"--era: model {name} knows no eras", "Leave --era out, or take model default")
