"""The network alone: pictures a second at its working size, in PyTorch and in ONNX Runtime, on the same threads.

    python benchmarks/network.py [--model default] [--batch 4]

It answers whether another runtime is clearly faster on this processor.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import machine

from restore.colorizers import ColorModel
from restore.colorizers.loading import find_twin
from restore.colorizers.network import NetworkColorModel
from restore.colorizers.onnx_export import export_onnx
from restore.colorizers.onnx_model import OnnxColorModel
from restore.model_files import find_checkpoint


def rate(run: Callable[[], object], pictures: int, seconds: float = 4.0) -> float:
    """Pictures a second: the best of several rounds, after a warm-up."""
    run()
    best, deadline = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        start = time.perf_counter()
        run()
        best = max(best, pictures / (time.perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    path = find_checkpoint(arguments.model)
    by_torch = NetworkColorModel.from_file(path)
    size = by_torch.working_size
    luma = np.random.default_rng(0).random((arguments.batch, size, size), np.float32)
    print(f"{path.stem}, {size}×{size}, batch {arguments.batch}, {arguments.threads} threads; {machine()}")
    rates, guesses = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        by_onnx = find_twin(path)
        if by_onnx is None:
            exported = Path(folder) / "model.onnx"
            export_onnx(path, exported)
            by_onnx = OnnxColorModel(exported)
        candidates: list[tuple[str, ColorModel]] = [("float32", by_torch), ("bfloat16", by_torch), ("float32", by_onnx)]
        for dtype, model in candidates:
            model.prepare("cpu", dtype, arguments.threads)
            name = f"{model.runtime} {dtype}"
            guesses[name] = model.predict(luma)
            rates[name] = rate(functools.partial(model.predict, luma), arguments.batch)
    reference = "torch float32"
    for name, value in rates.items():
        print(
            f"{name:20s} {value:7.1f} pictures/s   ratio {value / rates[reference]:.2f}   "
            f"largest difference of ab {np.abs(guesses[name] - guesses[reference]).max():.3f} Lab units"
        )


if __name__ == "__main__":
    main()
