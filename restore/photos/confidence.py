"""Maps of confidence beside the results (`--confidence`): where the model is sure of its colours, and where not."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from restore.errors import OutputError
from restore.files import is_disk_full
from restore.heatmap import draw_heat_map, map_size
from restore.photos.photo import Photo
from restore.photos.plan import map_path
from restore.photos.writing import write_bytes
from restore.stills import Still

if TYPE_CHECKING:
    from restore.colorizers import Engine

FloatArray = npt.NDArray[np.float32]


@dataclass
class Maps:
    """The maps of one file's pages.

    Args:
        result: which they go beside.
        pages: of the file; maps of more than one bear their number.
        paths: those that are written.
        doubts: mean doubt of each.
        notes: why one is not there.
    """

    result: Path
    pages: int = 1
    paths: list[Path] = field(default_factory=list)
    doubts: list[float] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def write(self, photo: Photo, still: Still, guess: FloatArray, engine: Engine, page: int = 1) -> None:
        """Write a page's map. Before its result: one that is there has its map.

        Args:
            guess: (3, h, w): a, b and doubt in Lab units. Without doubt there is no map.
            page: its number.

        Raises:
            OutputError: the disk is full. What else is wrong, such as too long a name, is noted.
        """
        if len(guess) < 3:
            return
        height, width = photo.luma.shape
        width, height = map_size(width, height)
        mean = float(guess[2].mean())
        doubt = still.doubt(guess, height, width)
        stream = io.BytesIO()
        draw_heat_map(doubt, f"{mean:.0f} on average; model {engine.model_name}").save(stream, "PNG")
        path = map_path(self.result, page if self.pages > 1 else None)
        try:
            write_bytes(path, stream.getvalue())
        except OutputError as error:
            if is_disk_full(error):
                raise
            self.notes += (f"its map could not be made: {error.message}",)
            return
        self.paths.append(path)
        self.doubts.append(mean)

    def facts(self) -> dict[str, Any]:
        """What the file's record says of them: keywords of `Record`."""
        return {"confidence": tuple(self.paths), "doubt": sum(self.doubts) / len(self.doubts) if self.doubts else None}
