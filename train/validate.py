"""Measuring a model while it trains, with the metrics and the full-size path of `restore eval photos`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from restore.colorizers import Engine
from restore.colorizers.network import NetworkColorModel
from restore.errors import InputError
from restore.merge import merge_rgb, shrink_luma, small_chroma
from restore.metrics import PhotoMeter, PhotoScores, is_grey
from restore.networks import Model
from restore.options import EngineOptions
from restore.sheet import contact_sheet, thumbnail
from restore.sources import DECODE_ERRORS, PhotoSource
from train.config import TrainConfig

_SHOWN, _CELL = 12, 200
_PSNR_WEIGHT = 3.0  # rebalanced AuC alone favours garish colour, PSNR alone grey; a run moves both about this far apart


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
        self._config = config
        self._options = EngineOptions(device=str(device), size=config.working_size)

    def measure(self, model: Model, sheet: Path) -> Scores:
        """Colour the held-out pictures, measure, and write a sample sheet (grey, ours, original)."""
        engine = Engine(NetworkColorModel(model, "run"), self._options)
        meter = PhotoMeter()
        rows: list[list[npt.NDArray[np.uint8]]] = []
        for index in range(len(self._held_out)):
            try:
                with Image.open(io.BytesIO(self._held_out.read(index))) as picture:
                    original = np.asarray(picture.convert("RGB"))
            except DECODE_ERRORS:
                continue
            if is_grey(original):
                continue  # its PSNR is infinite, and it says nothing of colour
            luma = np.asarray(Image.fromarray(original).convert("L"))
            small = shrink_luma(luma, engine.size)
            coloured = merge_rgb(luma, small_chroma(small, engine.predict([small])[0]))
            meter.add(original, np.asarray(coloured, np.uint8))
            if len(rows) < _SHOWN:
                triple = (np.repeat(luma[:, :, None], 3, axis=2), np.asarray(coloured, np.uint8), original)
                rows.append([thumbnail(picture, _CELL) for picture in triple])
        if not rows:
            raise InputError("none of the held-out pictures is a readable colour picture", "Give others with --val")
        contact_sheet(sheet, rows, ("grey", "ours", "original"), cell=_CELL)
        return _scores(meter.scores())


def _scores(scores: PhotoScores) -> Scores:
    ours, grey = scores.model, scores.grey
    record = {
        "pictures": scores.count,
        "psnr": ours.psnr,
        "psnr_gain": ours.psnr - grey.psnr,
        "colorfulness_percent": scores.colorfulness_percent,
        "ab_rmse": ours.ab_rmse,
        "auc": ours.auc,
        "auc_rebalanced": ours.auc_rebalanced,
        "auc_rebalanced_gain": ours.auc_rebalanced - grey.auc_rebalanced,
    }
    record = {name: round(value, 3) for name, value in record.items()}
    text = (
        f"PSNR {ours.psnr:.2f} dB ({ours.psnr - grey.psnr:+.2f} to grey), rebalanced AuC {ours.auc_rebalanced:.1f} "
        f"({ours.auc_rebalanced - grey.auc_rebalanced:+.1f}), "
        f"colourfulness {scores.colorfulness_percent:.0f} % of the originals'"
    )
    return Scores(record, text, record["auc_rebalanced_gain"] + _PSNR_WEIGHT * record["psnr_gain"])
