"""All that is measured of coloured photos: what always is, and what is asked for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.calibration import Calibration
from restore.colorizers import Engine
from restore.colorizers.base import FloatArray
from restore.cross_entropy import CrossEntropy, CrossEntropyMeter, true_ab
from restore.frechet import FrechetMeter, FrechetScores, inception_features, packaged_features
from restore.hint_metrics import HintMeter
from restore.metrics import PROTOCOL, PhotoMeter, PhotoScores, Rgb, reduced_ab
from restore.plausibility import PlausibilityScores
from restore.stills import Still

_FRECHET_PROTOCOL = (
    "Fréchet distances, squared as FID is, between normal distributions of features: packaged encoder "
    "(EfficientNet-Lite0, 40 features at 1/8, pictures at 224 x 224 by area averaging; no published FID), FID "
    "(Inception of 2015-12-05, 2,048 features, pictures at 256 x 256 by area averaging); both fall with more pictures"
)
_ENTROPY_PROTOCOL = (
    "cross-entropy at the working size, in nats, against the training's labels (5 nearest bins, sigma 5), pooled over "
    "pixels; balanced: of the class-weighted distribution, with the class weights"
)


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Args:
        photos: what always is.
        cross_entropy: of models that guess a distribution.
        calibration, frechet, fid: where they were asked for.
        hints: how far results are from what was told, where something was.
    """

    photos: PhotoScores
    cross_entropy: CrossEntropy | None = None
    calibration: Calibration | None = None
    frechet: FrechetScores | None = None
    fid: FrechetScores | None = None
    hints: HintMeter | None = None

    @property
    def protocol(self) -> str:
        """How the figures were made, in one line."""
        parts = [PROTOCOL]
        if self.cross_entropy:
            parts.append(_ENTROPY_PROTOCOL)
        if self.frechet or self.fid:
            parts.append(_FRECHET_PROTOCOL)
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """As they stand in a report; figures that are not finite become null, which JSON can say."""
        scores = self.photos
        facts: dict[str, Any] = {
            "scores": {
                "model": finite(asdict(scores.model)) | _believable(scores.plausibility),
                "grey": finite(asdict(scores.grey)) | _believable(scores.grey_plausibility),
                "originals": {
                    "colorfulness": scores.original_colorfulness,
                    "colorfulness_abs": scores.original_colorfulness_abs,
                    "magenta": scores.plausibility.original_magenta,
                },
                "colorfulness_percent": finite({"": scores.colorfulness_percent})[""],
            }
        }
        if self.cross_entropy:
            facts["cross_entropy"] = finite(asdict(self.cross_entropy))
        if self.frechet:
            facts["frechet_packaged_encoder"] = finite(asdict(self.frechet))
        if self.fid:
            facts["fid"] = finite(asdict(self.fid))
        if self.calibration:
            correlation = finite({"rank_correlation": self.calibration.rank_correlation()})
            facts["calibration"] = correlation | {"groups": [asdict(group) for group in self.calibration.groups()]}
        if self.hints:
            errors = {"error": self.hints.mean_error, "error_of_grey": self.hints.mean_chroma}
            facts["hints"] = {"pixels": self.hints.pixels} | finite(errors)
        return facts


def finite(figures: dict[str, float]) -> dict[str, float | None]:
    """None for what JSON has no word for."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _believable(scores: PlausibilityScores) -> dict[str, float | None]:
    """Beside the other figures of one way of colouring."""
    figures = asdict(scores) | {"magenta_ratio": scores.magenta_ratio}
    del figures["original_magenta"]
    return finite(figures)


@dataclass(frozen=True)
class Guess:
    """What a model said of a picture.

    Args:
        still: what it was shown, and told.
        guess: (2, h, w) ab, or (3, h, w) with doubt, in Lab units.
        shares: (h, w, Q), its distribution, where it has one.
    """

    still: Still
    guess: FloatArray
    shares: FloatArray | None = None


class Measures:
    """Compares coloured photos with their originals, in flat memory.

    Args:
        engine: what guesses; whether there is cross-entropy to measure depends on its model.
        calibration: whether it errs as much as it says.
        frechet: the distance over the packaged encoder's features.
        inception: a file of FID's weights, for FID.

    Raises:
        UsageError: calibration of a model that can't say how sure it is.
        MissingDependencyError, InputError: see `packaged_features` and `inception_features`.
    """

    def __init__(
        self,
        engine: Engine,
        calibration: bool = False,
        frechet: bool = False,
        inception: Path | None = None,
    ) -> None:
        if calibration:
            engine.check_knows_doubt("--calibration")
        self.photos = PhotoMeter()
        self.calibration = Calibration() if calibration else None
        self.hints: HintMeter | None = None
        classes = engine.classes
        self.cross_entropy = CrossEntropyMeter(classes.bins, classes.weights) if classes else None
        self.frechet = FrechetMeter(packaged_features("--frechet", engine.device)) if frechet else None
        self.fid = FrechetMeter(inception_features(inception, engine.device)) if inception else None

    def add(self, original: Rgb, luma: npt.NDArray[np.uint8], coloured: Rgb, guess: Guess) -> None:
        """Measure one picture.

        Args:
            original, coloured: (H, W, 3).
            luma: (H, W), the grey that was coloured.
        """
        self.photos.add(original, coloured, luma)
        still = guess.still
        if self.calibration:
            error = np.linalg.norm(reduced_ab(coloured) - reduced_ab(original), axis=2)
            self.calibration.add(still.doubt(guess.guess, *error.shape), error)
        if self.cross_entropy and guess.shares is not None:
            height, width, _ = guess.shares.shape
            self.cross_entropy.add(guess.shares, true_ab(still.area.of(original), len(still.view), height, width))
        if still.hints is not None:
            self.hints = self.hints or HintMeter()
            self.hints.add(still.hints, still.area.of(coloured))
        for meter in (self.frechet, self.fid):
            if meter:
                meter.add(original, coloured, np.repeat(luma[..., None], 3, axis=2))

    def figures(self) -> Figures:
        """The figures so far. Raises ValueError before the first picture."""
        return Figures(
            photos=self.photos.scores(),
            cross_entropy=self.cross_entropy.scores() if self.cross_entropy else None,
            calibration=self.calibration,
            frechet=self.frechet.scores() if self.frechet else None,
            fid=self.fid.scores() if self.fid else None,
            hints=self.hints,
        )
