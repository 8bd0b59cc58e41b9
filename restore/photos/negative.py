"""A warning where a photo is probably a negative. Nothing else is done about it: whether it is one, people can see.

The small network in negative.onnx tells; `train/negatives.py` made it, and docs/archives.md says how often it errs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from restore.merge import shrink_luma
from restore.photos.photo import Photo
from restore.photos.profiles import Samples
from restore.report import NEGATIVE

_SIDE = 64


def warn_of_negative(photo: Photo) -> Photo:
    """The photo, with a note if it is probably a negative."""
    return replace(photo, notes=(*photo.notes, NEGATIVE)) if looks_negative(photo.luma) else photo


def looks_negative(luma: Samples) -> bool:
    """Whether light and dark are probably exchanged in (H, W) luma of 8 or 16 bit."""
    view = shrink_luma(luma, _SIDE)
    (score,) = _session().run(None, {"luma": view[None, None]})
    return float(score[0]) > 0


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    data = files("restore.photos").joinpath("negative.onnx").read_bytes()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
