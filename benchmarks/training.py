"""Training throughput at 256×256, batch 16, pix2pix `unet`, against the loop that the published projects use.

    python benchmarks/training.py [--steps 6]

Theirs: PIL resize, `skimage.color.rgb2lab` per image in two workers, fp32, contiguous tensors. Ours: the data path and
the step of `restore train`. The same pictures, network, loss and optimiser on both sides. The bar is a ratio of 4 with
AMX or on a GPU; elsewhere, where convolutions take nearly all, 10 for the data path alone and 1.1 for the whole.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import machine, write_colour_photos
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset

from restore.colorizers.devices import find_device
from restore.networks import GeneratorConfig, HeadConfig, Model, ModelConfig, build_model
from restore.sources import open_source
from train.config import TrainConfig
from train.data import CropDataset, batches
from train.inputs import network_input
from train.loop import Run, _optimizer, _resolve_precision, _step
from train.losses import regression_loss
from train.precision import apply_precision

SIZE, BATCH, WORKERS = 256, 16, 2


class PlainDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """One picture at a time, all in Python, as the published notebooks do it."""

    def __init__(self, paths: list[Path], repeats: int) -> None:
        self.paths = paths * repeats

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture = Image.open(self.paths[index]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        if np.random.rand() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lab = rgb2lab(np.array(picture)).astype("float32")
        tensor = torch.from_numpy(lab).permute(2, 0, 1)
        return tensor[:1] / 50.0 - 1.0, tensor[1:] / 110.0


def plain_batches(folder: Path) -> Iterator[Any]:
    return iter(DataLoader(PlainDataset(sorted(folder.iterdir()), 100), BATCH, shuffle=True, num_workers=WORKERS))


def new_model() -> Model:
    torch.manual_seed(0)
    return build_model(ModelConfig(GeneratorConfig("unet"), HeadConfig("regression"), SIZE)).train()


def images_per_second(step: Any, steps: int, warm_up: int = 2) -> float:
    """So many steps of warm-up, which also use up what workers have prefetched, then `steps` timed ones."""
    for _ in range(warm_up):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return steps * BATCH / (time.perf_counter() - start)


def plain_step(folder: Path, device: torch.device) -> Any:
    model, data = new_model().to(device), plain_batches(folder)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step() -> None:
        scaled_l, ab = (tensor.to(device) for tensor in next(data))
        loss = torch.nn.functional.l1_loss(model.raw(scaled_l), ab)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def our_step(folder: Path, device: torch.device) -> tuple[Any, str]:
    model = new_model().to(device).to(memory_format=torch.channels_last)
    source = open_source(folder)
    config = TrainConfig(
        data=str(folder),
        output="unused",
        recipe="regression",
        generator="unet",
        encoder_weights="none",
        size=SIZE,
        batch=BATCH,
    )

    def loss(model: Model, scaled_l: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
        return regression_loss("l1", model.raw(scaled_l), ab)

    run = Run(config, model, loss, device, source, source)
    config = _resolve_precision(run, model)
    run = Run(config, model, loss, device, source, source)
    apply_precision(model, config.precision)
    optimizer = _optimizer(config, model)
    data = batches(CropDataset(source, SIZE, config.crop, 0), BATCH, 0, WORKERS, device.type == "cuda")
    count = 0

    def step() -> None:
        nonlocal count
        _step(run, model, optimizer, next(data), count)
        count += 1

    return step, config.precision


def plain_data(folder: Path, steps: int) -> float:
    data = plain_batches(folder)
    return images_per_second(lambda: next(data), steps, warm_up=8)


def our_data(folder: Path, device: torch.device, degrade: float, steps: int) -> float:
    """Images per second up to tensors that the network takes."""
    config = TrainConfig(data=str(folder), output="unused", size=SIZE, batch=BATCH, degrade=degrade)
    data = batches(CropDataset(open_source(folder), SIZE, config.crop, 0), BATCH, 0, WORKERS, False)
    return images_per_second(lambda: network_input(next(data).rgb.to(device), config, 0), steps, warm_up=30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    arguments = parser.parse_args()
    device = find_device("auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_colour_photos(folder, 128)
        theirs_data = plain_data(folder, 5 * arguments.steps)
        ours_data = our_data(folder, device, 0.0, 40 * arguments.steps)
        degraded_data = our_data(folder, device, 0.5, 20 * arguments.steps)
        step, precision = our_step(folder, device)
        ours = images_per_second(step, arguments.steps)
        theirs = images_per_second(plain_step(folder, device), arguments.steps)
    print(f"pix2pix unet, {SIZE}×{SIZE}, batch {BATCH}, {WORKERS} workers, {device}; {machine()}")
    print(
        f"data path  plain {theirs_data:7.1f} images/s   restore {ours_data:7.1f}   ratio {ours_data / theirs_data:.1f}"
    )
    print(f"  with film-like degradation, which the plain loop has not {degraded_data:16.1f}")
    print(f"whole step plain {theirs:7.1f} images/s   restore {ours:7.1f}   ratio {ours / theirs:.2f}   ({precision})")


if __name__ == "__main__":
    main()
