"""Write a small black-and-white archive with sub-folders, from the photos that scikit-image ships.

    python examples/make_archive.py [FOLDER]

Nothing is downloaded. FOLDER is `archive` unless given.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from skimage import data

ALBUMS = {
    "people": ("astronaut", "camera"),
    "home": ("chelsea", "coffee"),
    "outdoors/technology": ("rocket", "stereo_motorcycle"),
}


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "archive")
    for album, names in ALBUMS.items():
        folder = root / album
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            photo = getattr(data, name)()
            picture = photo[0] if isinstance(photo, tuple) else photo
            Image.fromarray(picture).convert("L").save(folder / f"{name}.jpg", quality=92)
    print(f"wrote {sum(len(names) for names in ALBUMS.values())} grey photos into {root}")


if __name__ == "__main__":
    main()
