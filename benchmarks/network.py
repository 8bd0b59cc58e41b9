"""The network alone: pictures a second at its working size, in PyTorch and in ONNX Runtime, on the same threads.

    python benchmarks/network.py [--model default] [--batch 4]

It answers whether another runtime is clearly faster on this processor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from common import machine

from restore.checkpoint import load_checkpoint
from restore.colorizers.network import NetworkColorModel
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


def exported(model: torch.nn.Module, example: torch.Tensor, path: Path, threads: int) -> onnxruntime.InferenceSession:
    torch.onnx.export(
        model, (example,), path, input_names=["scaled_l"], output_names=["ab"], dynamo=True, verbose=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    path = find_checkpoint(arguments.model)
    model, _ = load_checkpoint(path)
    size = model.config.working_size
    luma = torch.rand(arguments.batch, 1, size, size)
    print(f"{path.stem}, {size}×{size}, batch {arguments.batch}, {arguments.threads} threads; {machine()}")
    color_model = NetworkColorModel.from_file(path)
    rates = {}
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            color_model.prepare(torch.device("cpu"), dtype)
            rates[f"PyTorch {str(dtype).removeprefix('torch.')}"] = rate(
                lambda: color_model.predict(luma), arguments.batch
            )
    with tempfile.TemporaryDirectory() as folder:
        scaled = luma * 2 - 1
        session = exported(model.eval(), scaled, Path(folder) / "model.onnx", arguments.threads)
        feed = {"scaled_l": scaled.numpy()}
        with torch.inference_mode():
            difference = np.abs(session.run(None, feed)[0] - model(scaled).numpy()).max()
        rates["ONNX Runtime float32"] = rate(lambda: session.run(None, feed), arguments.batch)
    base = rates["PyTorch float32"]
    for name, value in rates.items():
        print(f"{name:22s} {value:7.1f} pictures/s   ratio {value / base:.2f}")
    print(f"largest difference of ab, ONNX Runtime against PyTorch float32: {difference:.4f} Lab units")


if __name__ == "__main__":
    main()
