"""Draw the picture of the README: grey, coloured, original, for photos that scikit-image ships.

    python examples/make_readme_picture.py [FILE]

FILE is `docs/images/readme.jpg` unless given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from restore import Colorizer
from restore.sheet import draw_sheet

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/readme.jpg")
    target.parent.mkdir(parents=True, exist_ok=True)
    colorizer = Colorizer(era="modern")
    rows = []
    for name in PHOTOS:
        photo = Image.fromarray(getattr(data, name)())
        grey = photo.convert("L")
        rows.append([np.asarray(grey.convert("RGB")), np.asarray(colorizer.colorize(grey)), np.asarray(photo)])
    draw_sheet(rows, ("grey", "restore", "original"), cell=300).save(target, quality=88)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
