"""What a film remembers after a frame: all that later frames depend on, so that work may go on from there."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray
from restore.video.continuity import Continuity
from restore.video.packed import packed, unpacked
from restore.video.places import Places
from restore.video.shots import Look, ShotState

# Share of what is known of a scene's chroma that is left after each frame that the network is asked for.
_REMEMBERED = 0.98
_MOST_VIVID = 1.15
_FIRST = 10  # frames that the first one counts for, or the next ones would be seen to differ
# Of a guess that tells how vivid a scene is.
_LEAST_WEIGHT = 0.5


@dataclass(frozen=True)
class Trail:
    """What smoothing takes over from the last frame that was not disturbed.

    Args:
        small: (F, F) uint8, its luma.
        sums: (F, F, 3), see `restore.video.smooth`; half as precise as they are made, which is enough, and half as
            long in the journal.
    """

    small: npt.NDArray[np.uint8]
    sums: npt.NDArray[np.float16]

    @classmethod
    def of(cls, small: npt.NDArray[np.uint8], sums: FloatArray) -> Trail:
        """Of a frame."""
        return cls(small, sums.astype(np.float16))


@dataclass(frozen=True)
class SmoothedFrame:
    """A frame that was smoothed.

    Args:
        ab: (F, F, 2).
        guess: (F, F, 2), what the network said of it; None where it was not asked.
        trail: what goes on from it; None without smoothing.
        color_ahead: this frame or one of the next of its scene is in colour.
    """

    look: Look
    ab: FloatArray
    guess: FloatArray | None
    trail: Trail | None
    color_ahead: bool


@dataclass(frozen=True)
class Vividness:
    """How much chroma the network gave to a scene's frames, and how much of it smoothing has left: what differs in hue
    from time to time pales in the mean. Both in Lab units, summed over some hundred frames.
    """

    guessed: float = 0.0
    left: float = 0.0

    def after(self, guess: FloatArray, ab: FloatArray) -> Vividness:
        """A frame that the network was asked for: its guess, and its ab in the end, (F, F, 2) both."""
        guessed, left = _chroma(guess), _chroma(ab)
        if not self.guessed:
            return Vividness(_FIRST * guessed, _FIRST * left)
        return Vividness(_REMEMBERED * self.guessed + guessed, _REMEMBERED * self.left + left)

    @property
    def gain(self) -> float:
        """What gives a frame's ab its chroma back."""
        return min(_MOST_VIVID, max(1.0, self.guessed / self.left)) if self.left else 1.0


@dataclass(frozen=True)
class Memory:
    """The memory after a frame; never changed, only replaced.

    Args:
        setups: of the film, and the scene's.
        shot: what its frames are compared with.
        places: of the scene; None before the first, and without smoothing.
        vividness: of the scene.
        trail: None before the first frame, and without smoothing.
    """

    setups: Continuity = field(default_factory=Continuity)
    shot: ShotState = field(default_factory=ShotState)
    places: Places | None = None
    vividness: Vividness = field(default_factory=Vividness)
    trail: Trail | None = None

    @property
    def scene(self) -> int:
        """The scene's number, from 1; 0 before the first frame."""
        return self.setups.scene

    @property
    def keeps(self) -> bool:
        """Whether the scene is in colour already, and is left as it is."""
        return self.setups.keeps

    def after(self, frame: SmoothedFrame, *, hold: bool) -> tuple[FloatArray, Memory]:
        """The next frame's ab in the end, (F, F, 2), and the memory after it.

        Args:
            hold: colours are held in time.
        """
        look, ab = frame.look, frame.ab
        setups, places, vividness = self.setups, self.places, self.vividness
        if look.cut:
            setups, vividness = setups.begin(look.small, ab), Vividness()
        if frame.color_ahead and not setups.keeps:
            setups = replace(setups, keeps=True)
        if hold:
            ab = setups.hold(look.small, ab)
            if look.cut or places is None:
                places = Places.begin(look.small, ab)
            else:
                ab, remembered = places.hold(look.small, ab)
                places = places if look.disturbed else remembered
            if frame.guess is not None and look.weight >= _LEAST_WEIGHT:
                vividness = vividness.after(frame.guess, ab)
            ab = ab * np.float32(vividness.gain)
        return ab, Memory(setups, look.state, places, vividness, frame.trail)

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {
            "setups": self.setups.as_json(),
            "shot": self.shot.as_json(),
            "places": self.places and self.places.as_json(),
            "vividness": astuple(self.vividness),
            "trail": self.trail and {"small": packed(self.trail.small), "sums": packed(self.trail.sums)},
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Memory:
        """The inverse of `as_json`."""
        places, trail = facts["places"], facts["trail"]
        return cls(
            Continuity.from_json(facts["setups"]),
            ShotState.from_json(facts["shot"]),
            places and Places.from_json(places),
            Vividness(*facts["vividness"]),
            trail and Trail(unpacked(trail["small"]), unpacked(trail["sums"])),
        )


def _chroma(ab: FloatArray) -> float:
    return float(np.sqrt(np.square(ab).mean()))
