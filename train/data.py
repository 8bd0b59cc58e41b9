"""From encoded pictures to batches of crops: decoding, cropping and flipping in worker processes.

Sample n of a run is always the same crop of the same picture, whatever came before it: its randomness comes from
(seed, n). That is what makes a resumed run equal an uninterrupted one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restore.errors import InputError
from restore.sources import PhotoSource
from restore.stopping import leave_signals_to_parent
from train.framing import Framing

_TRIES = 20  # broken pictures in a row before the data is called unusable


class Batch(NamedTuple):
    """Crops (N, 3, S, S) uint8 RGB, their sample numbers, and the pictures that could not be read on the way."""

    rgb: Tensor
    numbers: list[int]
    broken: list[str]


def decode(data: bytes, least: int) -> npt.NDArray[np.uint8]:
    """Encoded picture to (H, W, 3) uint8 RGB, upright; a large JPEG is decoded at a fraction of its size, with the
    short side still at least `least`.

    Raises:
        ValueError: no picture, or a broken one.
    """
    try:
        with Image.open(io.BytesIO(data)) as header:
            short = min(header.size)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    flags = cv2.IMREAD_COLOR_RGB
    for reduction, reduced in (
        (8, cv2.IMREAD_REDUCED_COLOR_8),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
    ):
        if short >= least * reduction:
            flags = reduced
            break
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if picture is None:
        raise ValueError("not readable as a picture")
    if flags != cv2.IMREAD_COLOR_RGB:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.asarray(picture, np.uint8)


class CropDataset(Dataset[Batch]):
    """Sample number → one crop. An endless sequence of epochs, each a permutation of the source of its own."""

    def __init__(self, source: PhotoSource, framing: Framing, seed: int) -> None:
        self.source = source
        self.framing = framing
        self.seed = seed
        self._order = lru_cache(maxsize=2)(self._permutation)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.source))

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, 2, number))
        epoch, place = divmod(number, len(self.source))
        index = int(self._order(epoch)[place])
        broken: list[str] = []
        for _ in range(_TRIES):
            try:
                picture = decode(self.source.read(index), self.framing.least)
                crop = self.framing.cut(picture, rng)
                return Batch(torch.from_numpy(crop).permute(2, 0, 1), [number], broken)
            except (ValueError, OSError, InputError):
                broken.append(self.source.name(index))
                index = int(rng.integers(len(self.source)))
        raise InputError(f"{_TRIES} pictures in a row can't be read, such as {broken[0]}", "Look at the data")


def _collate(samples: list[Batch]) -> Batch:
    # Stacked as they are in memory, channels last, which OpenCV and the network both want.
    rgb = torch.stack([sample.rgb.permute(1, 2, 0) for sample in samples]).permute(0, 3, 1, 2)
    numbers = [number for sample in samples for number in sample.numbers]
    return Batch(rgb, numbers, [name for sample in samples for name in sample.broken])


def _start_worker(_: int) -> None:
    leave_signals_to_parent()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class _StepBatches:
    """The sample numbers of each step from `first_step` on, without end: this process's share of the global batch."""

    def __init__(self, first_step: int, batch: int, rank: int, processes: int) -> None:
        self.step = first_step
        self.batch = batch
        self.share = slice(batch * rank // processes, batch * (rank + 1) // processes)

    def __iter__(self) -> Iterator[list[int]]:
        step = self.step
        while True:
            yield list(range(step * self.batch, (step + 1) * self.batch))[self.share]
            step += 1


def batches(
    dataset: CropDataset, batch: int, first_step: int, workers: int, pin: bool, rank: int = 0, processes: int = 1
) -> Iterator[Batch]:
    """Batches in order of their steps, decoded ahead by `workers` processes (0: in this one), without end.

    Args:
        batch: samples of a step over all `processes`, of which this one, `rank`, gets its part.
    """
    return iter(
        DataLoader(
            dataset,
            batch_sampler=_StepBatches(first_step, batch, rank, processes),
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_start_worker,
            prefetch_factor=4 if workers else None,
            pin_memory=pin,
        )
    )
