"""Measuring a model while it trains, with the metrics and the full-size path of `restore eval photos`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from restore.colorizers import Engine
from restore.colorizers.base import FloatArray
from restore.colorizers.network import NetworkColorModel
from restore.cross_entropy import CrossEntropy, CrossEntropyMeter, true_ab
from restore.errors import InputError
from restore.merge import merge_rgb
from restore.metrics import PhotoMeter, PhotoScores, is_grey
from restore.networks import Model
from restore.options import EngineOptions
from restore.sheet import contact_sheet, thumbnail
from restore.sources import DECODE_ERRORS, PhotoSource
from restore.stills import guess_shares, look
from train import distributed
from train.config import TrainConfig

Rgb = npt.NDArray[np.uint8]

_SHOWN, _CELL = 12, 200
_RIGHT_COLOR = (70.0, 110.0)  # colourfulness in % of the originals' that is neither brown nor garish
_COLOR_PENALTY = 0.1  # points of rank for each % outside


@dataclass(frozen=True)
class Scores:
    """What was measured: `record` for the metrics file, `text` for people, `rank` to choose the best (higher)."""

    record: dict[str, float]
    text: str
    rank: float


class _Coloured(NamedTuple):
    """A held-out picture: (H, W, 3) each, and the distribution (h, w, Q) where the model guesses one."""

    grey: Rgb
    ours: Rgb
    original: Rgb
    shares: FloatArray | None

    def thumbnails(self) -> list[Rgb]:
        return [thumbnail(picture, _CELL) for picture in (self.grey, self.ours, self.original)]


class Validation:
    """Held-out pictures, decoded anew each time (memory stays flat)."""

    def __init__(self, held_out: PhotoSource, config: TrainConfig, device: torch.device) -> None:
        self._held_out = held_out
        self._options = EngineOptions(device=str(device), size=config.working_size)

    def measure(self, model: Model, sheet: Path) -> Scores:
        """Colour the held-out pictures, measure, and write a sample sheet (grey, ours, original).

        Processes that train together share the pictures out among them, and all return the same scores.
        """
        meter, rows = PhotoMeter(), list[list[Rgb]]()
        engine = self._engine(model)
        classes = engine.classes
        entropy = CrossEntropyMeter(classes.bins, classes.weights) if classes else None
        for held in self._coloured(engine, distributed.rank(), distributed.processes()):
            meter.add(held.original, held.ours, np.ascontiguousarray(held.grey[..., 0]))
            if entropy and held.shares is not None:
                entropy.add(held.shares, true_ab(held.original, engine.size, *held.shares.shape[:2]))
            if len(rows) < _SHOWN:
                rows.append(held.thumbnails())
        parts = distributed.gathered((meter, entropy, rows))
        for other, their_entropy, more in parts[: distributed.rank()] + parts[distributed.rank() + 1 :]:
            meter.merge(other)
            if entropy and their_entropy:
                entropy.merge(their_entropy)
            rows += more
        if not rows:
            raise InputError("none of the held-out pictures is a readable colour picture", "Give others with --val")
        if distributed.rank() == 0:
            _write_sheet(sheet, rows)
        return _scores(meter.scores(), entropy.scores() if entropy else None)

    def sample(self, model: Model, sheet: Path) -> None:
        """A sample sheet alone."""
        rows = []
        for held in self._coloured(self._engine(model), 0, 1):
            rows.append(held.thumbnails())
            if len(rows) == _SHOWN:
                break
        _write_sheet(sheet, rows)

    def _engine(self, model: Model) -> Engine:
        return Engine(NetworkColorModel(model, "run"), self._options)

    def _coloured(self, engine: Engine, start: int, step: int) -> Iterator[_Coloured]:
        """Every `step`-th picture."""
        for index in range(start, len(self._held_out), step):
            try:
                with Image.open(io.BytesIO(self._held_out.read(index))) as picture:
                    original = np.asarray(picture.convert("RGB"))
            except DECODE_ERRORS:
                continue
            if is_grey(original):
                continue  # its PSNR is infinite, and it says nothing of colour
            luma = np.asarray(Image.fromarray(original).convert("L"))
            still = look(luma, engine.size, era="modern")  # as the pictures of data sets are
            ((ab, shares),) = guess_shares(engine, [still])
            ours = np.asarray(merge_rgb(luma, still.chroma(ab)), np.uint8)
            yield _Coloured(np.repeat(luma[:, :, None], 3, axis=2), ours, original, shares)


def _write_sheet(sheet: Path, rows: list[list[Rgb]]) -> None:
    contact_sheet(sheet, rows[:_SHOWN], ("grey", "ours", "original"), cell=_CELL)


def rank(auc_rebalanced_gain: float, ab_rmse_gain: float, colorfulness_percent: float) -> float:
    """How good a checkpoint is, by what DeOldify leaves to the eye; higher is better, all-grey is −7.

    The sum of the gains over all-grey in rebalanced AuC (points: are rare colours reached?) and in ab error (Lab units:
    is it right on average?), less a tenth of a point for each per cent of colourfulness outside 70 to 110 % of the
    originals': the first alone favours garish colour, the second alone grey.
    """
    low, high = _RIGHT_COLOR
    outside = max(low - colorfulness_percent, colorfulness_percent - high, 0.0)
    return auc_rebalanced_gain + ab_rmse_gain - _COLOR_PENALTY * outside


def _scores(scores: PhotoScores, entropy: CrossEntropy | None) -> Scores:
    ours, grey, seen = scores.model, scores.grey, scores.plausibility
    value = rank(ours.auc_rebalanced - grey.auc_rebalanced, grey.ab_rmse - ours.ab_rmse, scores.colorfulness_percent)
    record = {
        "pictures": scores.count,
        "psnr": ours.psnr,
        "psnr_gain": ours.psnr - grey.psnr,
        "colorfulness_percent": scores.colorfulness_percent,
        "ab_rmse": ours.ab_rmse,
        "ab_rmse_grey": grey.ab_rmse,
        "auc": ours.auc,
        "auc_rebalanced": ours.auc_rebalanced,
        "auc_rebalanced_gain": ours.auc_rebalanced - grey.auc_rebalanced,
        "false_magenta": seen.false_magenta,
        "magenta": seen.magenta,
        "magenta_originals": seen.original_magenta,
        "wrong_hue": seen.wrong_hue,
        "palette_distance": seen.palette_distance,
        "rank": value,
    }
    if entropy:
        record |= {"cross_entropy": entropy.natural, "cross_entropy_balanced": entropy.balanced}
    text = (
        f"PSNR {ours.psnr:.2f} dB ({ours.psnr - grey.psnr:+.2f} to grey), ab RMSE {ours.ab_rmse:.2f} "
        f"({ours.ab_rmse - grey.ab_rmse:+.2f}), rebalanced AuC {ours.auc_rebalanced:.1f} "
        f"({ours.auc_rebalanced - grey.auc_rebalanced:+.1f}), "
        f"colourfulness {scores.colorfulness_percent:.0f} % of the originals', "
        f"false magenta {seen.false_magenta:.2f} %, wrong hue {seen.wrong_hue:.1f} %, "
        + (f"cross-entropy {entropy.natural:.3f}, balanced {entropy.balanced:.3f}, " if entropy else "")
        + f"rank {value:.2f}"
    )
    return Scores({name: round(number, 3) for name, number in record.items()}, text, value)
