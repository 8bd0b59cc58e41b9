"""How luma and chroma are mixed from RGB: ITU-T T.871 (JFIF), ITU-R BT.601, BT.709 and BT.2020."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Matrix:
    """The weights of Y′ = red · R + green · G + blue · B, and what follows for Cb and Cr."""

    red: float
    blue: float

    @property
    def green(self) -> float:
        return 1 - self.red - self.blue

    @property
    def cb_to_b(self) -> float:
        return 2 * (1 - self.blue)

    @property
    def cr_to_r(self) -> float:
        return 2 * (1 - self.red)

    @property
    def cb_to_g(self) -> float:
        return -self.blue * self.cb_to_b / self.green

    @property
    def cr_to_g(self) -> float:
        return -self.red * self.cr_to_r / self.green


BT601 = Matrix(red=0.299, blue=0.114)  # also JFIF's, and what Pillow's L is
BT709 = Matrix(red=0.2126, blue=0.0722)
BT2020 = Matrix(red=0.2627, blue=0.0593)
