"""A network that learns: what lies between a loss and a changed weight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from train import distributed
from train.config import TrainConfig

_FUSED = ("cpu", "cuda")  # where PyTorch has one kernel for a whole step of Adam


class Learner:
    """A network, its optimiser, the scaler of fp16, and the averaging of gradients over processes.

    Args:
        network: whose parameters learn; called through this object, so that gradients are averaged.
        optimizer: each group has its `peak` learning rate.
        clip: largest norm of the gradient; 0 is any.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, config: TrainConfig, device: torch.device) -> None:
        self.network = network
        self.optimizer = optimizer
        self.clip = config.clip
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._call: nn.Module = network
        if distributed.processes() > 1:
            # Buffers (BatchNorm's statistics) are each process's own while it runs: sent around in between two
            # forward passes of a GAN step, they would change what the first one's gradient is computed from.
            ids = [device.index] if device.type == "cuda" else None
            self._call = DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)

    def __call__(self, *inputs: Tensor) -> Any:
        return self._call(*inputs)

    @contextmanager
    def part(self, last: bool) -> Iterator[None]:
        """Around forward and backward pass of a part of a batch: gradients are averaged after the last one only."""
        if last or not isinstance(self._call, DistributedDataParallel):
            yield
        else:
            with self._call.no_sync():
                yield

    def set_rate(self, share: float) -> None:
        """Learning rates as a share of their peaks."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[-1]["lr"])

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def step(self) -> Tensor:
        """Change the weights; returns the gradient's norm before clipping, a scalar."""
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip or float("inf"))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def new_optimizer(
    config: TrainConfig, groups: list[tuple[list[nn.Parameter], float]], weight_decay: float
) -> Optimizer:
    """Adam or AdamW; neither norms nor biases decay.

    Args:
        groups: parameters and the peak of their learning rate.
    """
    rows = []
    for members, peak in groups:
        for decays in (True, False):
            chosen = [p for p in members if (p.ndim > 1) == decays]
            if chosen:
                rows.append({"params": chosen, "peak": peak, "weight_decay": weight_decay if decays else 0.0})
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    fused = all(p.device.type in _FUSED for members, _ in groups for p in members)
    return kind(rows, lr=config.learning_rate, betas=(config.beta1, config.beta2), foreach=not fused, fused=fused)
