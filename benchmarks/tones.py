"""What grey, toned, hand-tinted and coloured pictures are taken for, over any set of colour photographs.

    python -m benchmarks.tones --data VAL [--count 400]

The pictures are made of the photographs by the functions that the tests use (`tests/tones.py`); the table, in percent,
is that of docs/archives.md.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from restore.sources import open_source
from restore.tone import Tone, find_tone
from tests.tones import KINDS

TONES: tuple[Tone, ...] = get_args(Tone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    source = open_source(options.data)
    chosen = np.unique(np.linspace(0, len(source) - 1, options.count).astype(int))
    found: Counter[tuple[str, Tone]] = Counter()
    for index in chosen:
        picture = Image.open(io.BytesIO(source.read(int(index)))).convert("RGB")
        rng = np.random.default_rng(int(index))
        for kinds in KINDS.values():
            for kind, make in kinds.items():
                found[kind, find_tone(make(picture, rng))] += 1
    print(f"| {len(chosen)} photographs, % |", " | ".join(TONES), "|")
    for tone, kinds in KINDS.items():
        for kind in kinds:
            print(f"| {tone}: {kind} |", " | ".join(f"{100 * found[kind, t] / len(chosen):.1f}" for t in TONES), "|")


if __name__ == "__main__":
    main()
