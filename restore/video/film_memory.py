"""What a film remembers after a frame: all that later frames depend on, so that work may go on from there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray
from restore.video.continuity import Continuity
from restore.video.packed import packed, unpacked
from restore.video.shots import Look, ShotState
from restore.video.still import Still


@dataclass(frozen=True)
class Trail:
    """What smoothing takes over from the last frame that was not disturbed.

    Args:
        small: (F, F) uint8, its luma.
        sums: (F, F, 3), see `restore.video.smooth`.
    """

    small: npt.NDArray[np.uint8]
    sums: FloatArray


@dataclass(frozen=True)
class Memory:
    """The memory after a frame; never changed, only replaced.

    Args:
        setups: of the film, and the scene's.
        shot: what its frames are compared with.
        still: of the scene; None before the first, and without smoothing.
        trail: None before the first frame, and without smoothing.
    """

    setups: Continuity = field(default_factory=Continuity)
    shot: ShotState = field(default_factory=ShotState)
    still: Still | None = None
    trail: Trail | None = None

    @property
    def scene(self) -> int:
        """The scene's number, from 1; 0 before the first frame."""
        return self.setups.scene

    @property
    def keeps(self) -> bool:
        """Whether the scene is in colour already, and is left as it is."""
        return self.setups.keeps

    def after(
        self, look: Look, ab: FloatArray, trail: Trail | None, *, color_ahead: bool, hold: bool
    ) -> tuple[FloatArray, Memory]:
        """The next frame's ab as it is held, (F, F, 2), and the memory after it.

        Args:
            ab: (F, F, 2) as it was smoothed.
            color_ahead: this frame or one of the next of its scene is in colour.
            hold: colours are held in time.
        """
        setups, still = self.setups, self.still
        if look.cut:
            setups = setups.begin(look.small, ab)
        if color_ahead and not setups.keeps:
            setups = replace(setups, keeps=True)
        if hold:
            ab = setups.hold(look.small, ab)
            if look.cut or still is None:
                still = Still.begin(look.small, ab)
            else:
                ab, remembered = still.hold(look.small, ab)
                still = still if look.disturbed else remembered
        return ab, Memory(setups, look.state, still, trail)

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {
            "setups": self.setups.as_json(),
            "shot": self.shot.as_json(),
            "still": self.still and self.still.as_json(),
            "trail": self.trail and {"small": packed(self.trail.small), "sums": packed(self.trail.sums)},
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Memory:
        """The inverse of `as_json`."""
        still, trail = facts["still"], facts["trail"]
        return cls(
            Continuity.from_json(facts["setups"]),
            ShotState.from_json(facts["shot"]),
            still and Still.from_json(still),
            trail and Trail(unpacked(trail["small"]), unpacked(trail["sums"])),
        )
