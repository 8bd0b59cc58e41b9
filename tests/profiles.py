"""ICC profiles for the tests, as scanners and presses write them, made at test time (ICC.1:2001-04)."""

from __future__ import annotations

import itertools
import struct

import numpy as np

# Primaries in XYZ under D50, as columns.
ADOBE_RGB = np.array(((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457)))
SRGB = np.array(((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410)))
ADOBE_GAMMA = 563 / 256


def grey_profile(gamma: float) -> bytes:
    """For grey of one gamma."""
    return _profile(b"scnr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def adobe_rgb_profile() -> bytes:
    """Adobe RGB (1998)."""
    colors = zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_RGB.T, strict=True)
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(ADOBE_GAMMA))
    return _profile(b"mntr", b"RGB ", b"XYZ ", {name: _xyz(*values) for name, values in colors} | curves)


def cmyk_profile() -> bytes:
    """Of a press whose L* falls in a straight line with its ink, and whose colours are all grey."""
    grid = bytearray()
    for cyan, magenta, yellow, black in itertools.product((0, 1), repeat=4):
        lightness = (1 - black) * (1 - (cyan + magenta + yellow) / 3)
        grid += bytes((round(255 * lightness), 128, 128))
    identity = b"".join(_s15(float(i % 4 == 0)) for i in range(9))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table + bytes(range(256)) * 4 + grid + bytes(range(256)) * 3})


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = (0.9642, 1.0, 0.8249)
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = {b"desc": description, b"wtpt": _xyz(*white)} | tags
    body, table, offset = b"", struct.pack(">I", len(tags)), 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(map(_s15, white))
    return header + bytes(128 - len(header)) + table + body


def _s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(x) + _s15(y) + _s15(z)


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
