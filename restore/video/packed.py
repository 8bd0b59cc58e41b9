"""Arrays in JSON, bit for bit."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np


def packed(values: Any) -> dict[str, Any] | None:
    """An array of any shape and type; None stays None."""
    if values is None:
        return None
    array = np.ascontiguousarray(values)
    text = base64.b64encode(zlib.compress(array.tobytes())).decode()
    return {"type": array.dtype.str, "shape": list(array.shape), "data": text}


def unpacked(facts: dict[str, Any] | None) -> Any:
    """The inverse of `packed`."""
    if facts is None:
        return None
    values = np.frombuffer(zlib.decompress(base64.b64decode(facts["data"])), np.dtype(facts["type"]))
    return values.reshape(facts["shape"]).copy()
