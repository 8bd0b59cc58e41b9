"""Initial weights, as the published projects choose them."""

from __future__ import annotations

from torch import nn


def initialise(network: nn.Module, method: str) -> None:
    """Fill convolutions and linear layers; biases zero, BatchNorm's scale normal(1, 0.02) and shift zero.

    Args:
        method: `normal` (0, 0.02), as pix2pix does; `xavier` with gain 0.02 (Glorot & Bengio 2010); `kaiming`, fan-in
            (He et al. 2015, arXiv:1502.01852); `default` leaves what each layer came with (ICNR, for one).
    """
    if method == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if method == "normal":
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif method == "xavier":
                nn.init.xavier_normal_(module.weight, gain=0.02)
            elif method == "kaiming":
                nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in")
            else:
                raise ValueError(f"unknown initialisation {method!r}; known: default, normal, xavier, kaiming")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
