"""How much colour faded copies of photos lose, by the path of `restore photos`.

    python benchmarks/faded.py --data VAL [--count 150]

Each photo is greyed; copies are faded to 0.4 of their contrast around three levels, and darkened. Printed is the mean
colourfulness of the results beside that of the undamaged photos.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from restore.colorizers import load_engine
from restore.merge import merge_rgb
from restore.metrics import colorfulness
from restore.options import EngineOptions
from restore.sources import open_source
from restore.stills import colorize

COPIES = {
    "as they are": (1.0, 0),
    "black raised to 60": (0.4, 60),
    "around mid-grey": (0.4, 77),
    "washed out": (0.4, 140),
    "dark": (0.35, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=150)
    options = parser.parse_args()
    source, engine = open_source(options.data), load_engine(EngineOptions())
    found: dict[str, list[float]] = {name: [] for name in COPIES}
    for index in np.unique(np.linspace(0, len(source) - 1, options.count).astype(int)):
        grey = np.asarray(Image.open(io.BytesIO(source.read(int(index)))).convert("L"), np.float32)
        for name, (contrast, black) in COPIES.items():
            luma = np.rint(grey * contrast + black).astype(np.uint8)
            colored = np.asarray(merge_rgb(luma, colorize(luma, engine)), np.uint8)
            found[name].append(float(colorfulness(colored)))
    sound = np.mean(found["as they are"])
    print(f"{len(found['as they are'])} photos, model {engine.model_name} {engine.model_sha256[:12]}")
    for name, values in found.items():
        print(f"{name}: {np.mean(values):.2f} ({100 * (np.mean(values) / sound - 1):+.1f} %)")


if __name__ == "__main__":
    main()
