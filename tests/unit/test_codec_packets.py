"""Packets as encoders give them."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from restore.video.encoder import set_dts


@pytest.mark.parametrize(
    ("pts", "dts", "due"),
    [(0, 1688785436278798, 0), (1, -1688785436278798, 1), (3, 1, 1), (0, -2, -2), (0, 0, 0)],
)
def test_a_dts_that_cannot_be_is_replaced(pts: int, dts: int, due: int) -> None:
    packet = av.Packet(b"x")
    packet.pts, packet.dts, packet.time_base = pts, dts, Fraction(1, 25)
    set_dts(packet)
    assert packet.dts == due
