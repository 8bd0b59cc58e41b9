"""A step of recipe `classes` and the guess of what it trains, network by network: what each costs.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/candidates.py ['{"attention": 6}' …] [--batch 16] [--freeze-norms all]

Arguments are those of `efficientnet_unet`, as JSON; '{}' is the default network. For each: parameters, GFLOP of one
picture at the working size (192), pictures a second and milliseconds of a processor for a training step on crops of 128
pixels (data are there already; what making them takes is printed first), and milliseconds of one thread for a guess at
the working size, with decoding, by PyTorch and by ONNX Runtime. Networks take turns, and the least time counts, so that
other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import machine, write_colour_photos
from torch.utils.flop_counter import FlopCounterMode

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.colorizers import ColorModel
from restore.colorizers.network import NetworkColorModel
from restore.colorizers.onnx_export import export_onnx
from restore.colorizers.onnx_model import OnnxColorModel
from restore.memory import keep_all_freed_memory
from restore.networks import ClassesHead, GeneratorConfig, HeadConfig, Model, ModelConfig, build_model
from restore.sources import open_source
from train.config import TrainConfig
from train.data import CropDataset
from train.encoders import encoder_parts, hold_norms
from train.framing import Framing
from train.inputs import network_input
from train.loop import Run
from train.losses import SoftLabels, balanced_cross_entropy
from train.precision import apply_precision, fastest_precision
from train.recipes.common import autocast_of, generator_learner
from train.state import Ema
from train.steps import Chunk, plain_step

SIZE, WORKING_SIZE = 128, 192
CPU = torch.device("cpu")


def built(arguments: dict[str, Any]) -> Model:
    torch.manual_seed(0)
    head = HeadConfig("classes", vividness=36.0, shadow=0.4)
    return build_model(ModelConfig(GeneratorConfig("efficientnet_unet", arguments), head, WORKING_SIZE))


def gigaflops(model: Model) -> float:
    model.eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counted:
        model.raw(torch.zeros(1, 1, WORKING_SIZE, WORKING_SIZE))
    model.requires_grad_(True)
    return counted.get_total_flops() / 1e9


def training_step(arguments: dict[str, Any], config: TrainConfig, chunk: Chunk) -> tuple[Callable[[], None], str]:
    """A whole step, averaging of weights included; and its precision."""
    model = built(arguments).to(memory_format=torch.channels_last)
    precision = config.precision
    if precision == "auto":
        precision = fastest_precision(model, config.batch, SIZE, CPU)
    apply_precision(model, precision)
    config = TrainConfig(**{**vars(config), "precision": precision})
    nothing = open_source(Path(config.data))
    run = Run(config, model.train(), CPU, nothing, nothing)
    if config.freeze_norms != "none":
        hold_norms([model] if config.freeze_norms == "all" else encoder_parts(model))
    head = model.head
    assert isinstance(head, ClassesHead)
    labels, learner, ema = SoftLabels(head.bins), generator_learner(run, encoder_rate=1e-4), Ema(model, config.ema)
    learner.set_rate(1.0)
    step = plain_step(
        learner, lambda logits, ab: balanced_cross_entropy(logits, ab, labels, head.weights), autocast_of(run)
    )
    steps = iter(range(1000, 1_000_000))

    def call() -> None:
        step([chunk])
        ema.update(model, next(steps))

    return call, precision


def guesses(arguments: dict[str, Any], folder: Path) -> dict[str, Callable[[], object]]:
    path = folder / "model.safetensors"
    save_checkpoint(path, built(arguments), CheckpointInfo("candidate", ""))
    export_onnx(path, path.with_suffix(".onnx"))
    luma = np.random.default_rng(0).random((1, WORKING_SIZE, WORKING_SIZE), np.float32)
    calls: dict[str, Callable[[], object]] = {}
    for name, model, dtype in (
        ("bf16", NetworkColorModel.from_file(path), "bfloat16"),
        ("fp32", NetworkColorModel.from_file(path), "float32"),
        ("onnx", OnnxColorModel(path.with_suffix(".onnx")), "float32"),
    ):
        model.prepare("cpu", dtype, 1)
        calls[name] = functools.partial(_guess, model, luma)
    return calls


def _guess(model: ColorModel, luma: Any) -> None:
    torch.set_num_threads(1)
    model.predict(luma)


def timed(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, tuple[float, float]]:
    """Least seconds by the clock, and of all processors of this process, of one call of each."""
    least = dict.fromkeys(calls, (float("inf"), float("inf")))
    for call in calls.values():
        call()
    deadline = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < deadline or any(busy == float("inf") for _, busy in least.values()):
        for name, call in calls.items():
            start, busy = time.perf_counter(), time.process_time()
            call()
            used = time.perf_counter() - start, time.process_time() - busy
            least[name] = min(least[name][0], used[0]), min(least[name][1], used[1])
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arguments", nargs="*", type=json.loads, default=[{}])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--freeze-norms", choices=("none", "encoder", "all"), default="all")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=5.0, help="How long each call is timed.")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    keep_all_freed_memory()
    torch.set_num_threads(given.threads)
    batch = given.batch
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_colour_photos(folder / "photos", 8)
        config = TrainConfig(
            data=str(folder / "photos"), batch=batch, size=SIZE, freeze_norms=given.freeze_norms,
            precision=given.precision,
        )  # fmt: skip
        dataset = CropDataset(open_source(folder / "photos"), Framing.of(config), 0)
        crops = torch.cat([dataset[number].rgb for number in range(batch)])
        chunk = Chunk(*_seen(network_input(crops, config, range(batch))))
        print(f"{machine()}; batch {batch}, {given.threads} threads, norms kept: {given.freeze_norms}")
        data = timed({"data": lambda: network_input(crops, config, range(batch))}, given.seconds)["data"]
        print(f"degradation and colour conversion: {1000 * data[1] / batch:.2f} ms of a processor a picture")
        steps = [training_step(arguments, config, chunk) for arguments in given.arguments]
        least = timed({str(i): step for i, (step, _) in enumerate(steps)}, given.seconds)
        for i, arguments in enumerate(given.arguments):
            model = built(arguments)
            clock, busy = least[str(i)]
            guessed = timed(guesses(arguments, folder), given.seconds / 3)
            torch.set_num_threads(given.threads)
            print(
                f"{json.dumps(arguments)}\n  {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
                f"{gigaflops(model):.2f} GFLOP; {steps[i][1]}: {batch / clock:.1f} pictures/s, "
                f"{1000 * busy / batch:.2f} ms of a processor a picture; a guess: "
                + ", ".join(f"{name} {1000 * used[1]:.1f} ms" for name, used in guessed.items())
            )


def _seen(pair: tuple[torch.Tensor, torch.Tensor]) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    return (pair[0],), pair[1]


if __name__ == "__main__":
    main()
