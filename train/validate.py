"""Measuring a model while it trains, with the metrics and the full-size path of `restore eval photos`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from restore.colorizers import Engine
from restore.colorizers.network import NetworkColorModel
from restore.errors import InputError
from restore.merge import merge_rgb
from restore.metrics import PhotoMeter, PhotoScores, is_grey
from restore.networks import Model
from restore.options import EngineOptions
from restore.sheet import contact_sheet, thumbnail
from restore.sources import DECODE_ERRORS, PhotoSource
from restore.stills import colorize
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


class Validation:
    """Held-out pictures, decoded anew each time (memory stays flat)."""

    def __init__(self, held_out: PhotoSource, config: TrainConfig, device: torch.device) -> None:
        self._held_out = held_out
        self._options = EngineOptions(device=str(device), size=config.working_size)

    def measure(self, model: Model, sheet: Path) -> Scores:
        """Colour the held-out pictures, measure, and write a sample sheet (grey, ours, original).

        Processes that train together share the pictures out among them, and all return the same scores.
        """
        meter = PhotoMeter()
        rows: list[list[Rgb]] = []
        for triple in self._coloured(model, distributed.rank(), distributed.processes()):
            grey, coloured, original = triple
            meter.add(original, coloured, np.ascontiguousarray(grey[..., 0]))
            if len(rows) < _SHOWN:
                rows.append([thumbnail(picture, _CELL) for picture in triple])
        parts = distributed.gathered((meter, rows))
        for other, more in parts[: distributed.rank()] + parts[distributed.rank() + 1 :]:
            meter.merge(other)
            rows += more
        if not rows:
            raise InputError("none of the held-out pictures is a readable colour picture", "Give others with --val")
        if distributed.rank() == 0:
            _write_sheet(sheet, rows)
        return _scores(meter.scores())

    def sample(self, model: Model, sheet: Path) -> None:
        """A sample sheet alone."""
        rows = []
        for triple in self._coloured(model, 0, 1):
            rows.append([thumbnail(picture, _CELL) for picture in triple])
            if len(rows) == _SHOWN:
                break
        _write_sheet(sheet, rows)

    def _coloured(self, model: Model, start: int, step: int) -> Iterator[tuple[Rgb, Rgb, Rgb]]:
        """Grey, ours and original, each (H, W, 3), of every `step`-th picture."""
        engine = Engine(NetworkColorModel(model, "run"), self._options)
        for index in range(start, len(self._held_out), step):
            try:
                with Image.open(io.BytesIO(self._held_out.read(index))) as picture:
                    original = np.asarray(picture.convert("RGB"))
            except DECODE_ERRORS:
                continue
            if is_grey(original):
                continue  # its PSNR is infinite, and it says nothing of colour
            luma = np.asarray(Image.fromarray(original).convert("L"))
            coloured = merge_rgb(luma, colorize(luma, engine))
            yield np.repeat(luma[:, :, None], 3, axis=2), np.asarray(coloured, np.uint8), original


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


def _scores(scores: PhotoScores) -> Scores:
    ours, grey = scores.model, scores.grey
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
        "rank": value,
    }
    text = (
        f"PSNR {ours.psnr:.2f} dB ({ours.psnr - grey.psnr:+.2f} to grey), ab RMSE {ours.ab_rmse:.2f} "
        f"({ours.ab_rmse - grey.ab_rmse:+.2f}), rebalanced AuC {ours.auc_rebalanced:.1f} "
        f"({ours.auc_rebalanced - grey.auc_rebalanced:+.1f}), "
        f"colourfulness {scores.colorfulness_percent:.0f} % of the originals', rank {value:.2f}"
    )
    return Scores({name: round(number, 3) for name, number in record.items()}, text, value)
