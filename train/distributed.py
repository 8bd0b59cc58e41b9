"""Processes that train together, started by `torchrun`: one a GPU, on one machine or several.

Everything here does the plain thing where there is only one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from restore.errors import UsageError

T = TypeVar("T")


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined(device: str, batch: int) -> Iterator[str]:
    """Join the processes that torchrun started, if it did; yields this one's device.

    Raises:
        UsageError: the batch can't be shared out evenly.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield device
        return
    if batch % count:
        raise UsageError(f"--batch {batch} can't be shared by {count} processes", f"Give a multiple of {count}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    # Gloo beside NCCL: decisions (stop? how long?) travel between CPUs, without waiting for the GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def largest(*values: float) -> tuple[float, ...]:
    """The largest of each value over the processes: what one has decided, all do."""
    if processes() == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return tuple(tensor.tolist())


def means(values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars as numbers, averaged over the processes."""
    if not values:
        return {}
    stacked = torch.stack([value.detach().double().cpu() for value in values.values()])
    if processes() > 1:
        dist.all_reduce(stacked)
        stacked /= processes()
    return dict(zip(values, stacked.tolist(), strict=True))


def gathered(item: T) -> list[T]:
    """The items of all processes, in their order. An item is made of plain Python and NumPy."""
    if processes() == 1:
        return [item]
    items: list[T | None] = [None] * processes()
    dist.all_gather_object(items, item)
    return items  # type: ignore[return-value]


def wait() -> None:
    """Until all processes are here."""
    if processes() > 1:
        # Not `barrier`, which would use the GPU that NCCL guesses.
        dist.all_reduce(torch.zeros(1))


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process does the block before the others do it: it may unpack or download what they then find."""
    if rank() != 0:
        wait()
    try:
        yield
    finally:
        if rank() == 0:
            wait()
