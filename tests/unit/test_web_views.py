"""The pictures that the page shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from restore.colorizers import load_engine
from restore.options import EngineOptions, PhotoOptions
from restore.photos.pipeline import restore_photos
from restore.web.views import LARGE, read_to_show, small_of, write_early_view, write_view
from tests.pictures import colourful, grey

_MOST = 100_000_000


def test_the_early_view_is_what_the_result_looks_like(tmp_path: Path) -> None:
    engine = load_engine(EngineOptions())
    Image.fromarray(grey(4000, 2600)).save(tmp_path / "scan.jpg")
    tifffile.imwrite(tmp_path / "deep.tif", grey(700, 500).astype(np.uint16) * 257)
    colourful(300, 200).save(tmp_path / "holiday.png")
    for name, recolor in (("scan.jpg", False), ("deep.tif", False), ("holiday.png", True)):
        options = PhotoOptions(
            [tmp_path / name],
            output=tmp_path / name[:-4],
            saturation=1.2,
            already_color="recolor" if recolor else "keep",
        )
        restore_photos(options, EngineOptions())
        (result,) = (path for path in (tmp_path / name[:-4]).iterdir() if path.name[0] != ".")
        write_view(result, tmp_path / "late.jpg", _MOST)
        write_early_view(read_to_show(tmp_path / name, _MOST), tmp_path / "early.jpg", engine, 1.2)
        early, late = (Image.open(tmp_path / f"{when}.jpg") for when in ("early", "late"))
        assert early.size == late.size
        assert max(early.size) <= LARGE
        far = np.abs(np.asarray(early, np.float32) - np.asarray(late, np.float32))
        without = np.abs(np.asarray(late.convert("L").convert("RGB"), np.float32) - np.asarray(late, np.float32))
        assert far.mean() < without.mean() / 4
        assert max(Image.open(small_of(tmp_path / "early.jpg")).size) <= 240
