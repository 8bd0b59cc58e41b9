"""One way from a still's luma to its colour, for photos, the library, the page and the figures: the picture inside its
borders, the network's view of it, the guess, and the chroma, put back to where the picture is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from restore.framing import SIDE, Area, find_area, refined
from restore.hints import Hint, draw_hints, within
from restore.merge import SmallChroma, enlarged_doubt, halved, reduced_luma, shrink_luma, small_chroma
from restore.options import Era
from restore.view import network_view

if TYPE_CHECKING:
    from restore.colorizers import Engine

FloatArray = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Still:
    """A picture, seen small.

    Args:
        area: the picture inside its borders.
        small: (S, S) luma of the area, in [0, 1].
        view: the same as the network is shown it.
        hints: (3, S, S) of the area, as `restore.hints.draw_hints` gives them; None tells nothing.
        era: whose palette the colours have; None is what the engine's options say.
    """

    area: Area
    small: FloatArray
    view: FloatArray
    hints: FloatArray | None = None
    era: Era | None = None

    def chroma(self, guess: FloatArray, saturation: float = 1.0) -> SmallChroma:
        """What was guessed, ready to be merged at any size; borders stay neutral.

        Args:
            guess: (2, h, w) ab in Lab units; what follows, such as doubt, is left alone.
        """
        return small_chroma(self.small, guess[:2], saturation, area=self.area)

    def doubt(self, guess: FloatArray, height: int, width: int) -> FloatArray:
        """(height, width) map of doubt in Lab units; of borders there is none.

        Args:
            guess: (3, h, w): a, b and doubt.
        """
        return enlarged_doubt(self.small, guess[2], height, width, self.area)


def look(luma: Luma, size: int, *, hints: Sequence[Hint] = (), era: Era | None = None) -> Still:
    """A picture as the network sees it.

    Args:
        luma: (H, W), 8 or 16 bit.
        size: side of the view; see `Engine.size`.
        hints: colours of places of the whole picture.
        era: see `Still`.
    """
    reduced = halved(luma, max(SIDE, size))
    area = refined(find_area([reduced_luma(reduced, SIDE)]), luma)
    inner = area.of(luma)
    small = shrink_luma(reduced if area.is_whole else inner, size)
    told = None
    if hints:
        shorter = min(inner.shape) / min(luma.shape)
        placed = within(hints, (area.top, area.bottom), (area.left, area.right), shorter)
        told = draw_hints(placed, size, *inner.shape)
    return Still(area, small, network_view(small), told, era)


def guess(engine: Engine, stills: Sequence[Still], doubt: bool = False) -> list[FloatArray]:
    """What `Engine.predict` says of each by itself: the same still gives the same guess, whatever its neighbours, the
    batch size and the number of jobs.

    On a CPU each goes alone: libraries choose other kernels for other batch sizes, whose sums round otherwise, and
    batches gain nothing there.
    """
    if engine.device != "cpu":
        return _predict(engine, stills, doubt)
    return [_predict(engine, [still], doubt)[0] for still in stills]


def guess_shares(
    engine: Engine, stills: Sequence[Still], doubt: bool = False
) -> list[tuple[FloatArray, FloatArray | None]]:
    """The same as `guess` says, and the shares of the model's classes, (h, w, Q), where it has some."""
    if engine.classes is None:
        return [(ab, None) for ab in guess(engine, stills, doubt)]
    found: list[tuple[FloatArray, FloatArray | None]] = []
    for still in stills:
        era = still.era or engine.era
        found += engine.distributions([still.view], doubt, [still.hints], [era])
    return found


def _predict(engine: Engine, stills: Sequence[Still], doubt: bool) -> list[FloatArray]:
    eras = [still.era or engine.era for still in stills]
    return engine.predict([still.view for still in stills], doubt, [still.hints for still in stills], eras)


def colorize(luma: Luma, engine: Engine, saturation: float = 1.0, era: Era | None = None) -> SmallChroma:
    """The colour of one picture, ready to be merged at any size.

    Args:
        luma: (H, W), 8 or 16 bit.
        saturation: factor on the guessed chroma.
        era: see `Still`.
    """
    still = look(luma, engine.size, era=era)
    return still.chroma(guess(engine, [still])[0], saturation)
