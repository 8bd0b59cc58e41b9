"""The exposure of a shot, evened out: where the picture falls dark, flickers or fades, the network still sees it as the
shot's best exposed frame, and colours don't move with the light.

Between two frames of a shot, exposure is a gain and a lift of luma, found over what is the same in both. Frames are
compared with an anchor, not with their predecessor, so that nothing adds up; the anchor moves on where the camera does.
What scales R′, G′ and B′ alike scales chroma by the same gain, so chroma goes back by it: a fade to black keeps its
saturation, and ends without a cast.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray, SmallChroma
from restore.video.packed import packed, unpacked

_SIDE = 48
_SHIFT = 6
# Correlation of what is common, from which on two frames can be compared, and below which the anchor moves on.
_COMPARABLE, _NEAR = 0.75, 0.9
# Correlation from which on a frame may show the same place as another, and what is doubted of a tone with each frame
# where it does, and where it doesn't. As close as this to what it should be, a tone is sure, and so close it is right.
_RELATED, _DOUBT, _GREAT_DOUBT, _CLOSE, _NOTHING = 0.5, 0.02, 0.15, 0.05, 0.01
# Levels (of 1) outside which luma may be clipped.
_DARK, _BRIGHT = 0.01, 0.98
# What fits no worse than this is common to both frames; at least so much of the overlap must.
_LEAST_TOLERANCE, _LEAST_COMMON = 0.02, 0.3
_FITS = 3
_EVERY = 2  # every second row and column is enough
# Mean difference up to which there is nothing to be told.
_SAME = 0.006
# Changes of luma below which a film is left as it is, and from which on all of a change counts: grain and what moves
# look like the former.
_STEADY, _CHANGED = 0.015, 0.035
_TYPICAL = (0.1, 0.7)
_LEAST_GAIN, _MOST_GAIN = 0.6, 16.0
# By so much must a frame be better exposed to be the shot's best, and to be the anchor: what only flickers is neither.
_BETTER, _BETTER_ANCHOR = 0.8, 0.9
# Spread of luma below which a frame is too dark or too pale to be compared.
_FAINT = 0.03
# Spread up to which a frame is so dark or pale that it is more likely in a fade than meant to be so.
_DIM = 0.06
# Spread of a view's luma from which on the network is trusted; what is darker or paler counts by its square.
_CLEAR = 0.12
_LEAST_WEIGHT = 0.01
_MOST_WHITE = 0.05


@dataclass(frozen=True)
class Tone:
    """Luma of a frame, in [0, 1], to that of another exposure: gain · luma + lift."""

    gain: float = 1.0
    lift: float = 0.0

    @property
    def is_even(self) -> bool:
        """Whether it changes nothing."""
        return self.gain == 1 and self.lift == 0

    def then(self, other: Tone) -> Tone:
        """Both, one after the other."""
        return Tone(self.gain * other.gain, self.lift * other.gain + other.lift)

    def to(self, reference: Tone) -> Tone:
        """From a frame of this tone to the exposure of one of the other tone, within bounds."""
        gain, lift = self.gain / reference.gain, (self.lift - reference.lift) / reference.gain
        bounded = min(max(gain, _LEAST_GAIN), _MOST_GAIN)
        return Tone(bounded, lift * bounded / gain).settled(_TYPICAL)

    def settled(self, ends: tuple[float, float]) -> Tone:
        """Without what is so small that grain, or what moves, may explain it, in luma between these ends."""
        change = max(abs((self.gain - 1) * end + self.lift) for end in ends)
        part = min(1.0, max(0.0, (change - _STEADY) / (_CHANGED - _STEADY)))
        return Tone(1 + (self.gain - 1) * part, self.lift * part)

    def towards(self, other: Tone, share: float) -> Tone:
        """So far on the way to another tone."""
        return Tone(self.gain ** (1 - share) * other.gain**share, self.lift * (1 - share) + other.lift * share)

    def of(self, luma: FloatArray) -> FloatArray:
        """The luma in the other exposure, within [0, 1]."""
        if self.is_even:
            return luma
        return np.clip(luma * np.float32(self.gain) + np.float32(self.lift), 0, 1)

    def undone(self, chroma: SmallChroma) -> SmallChroma:
        """Chroma that was made for the other exposure, for the frame's own luma."""
        if self.is_even:
            return chroma
        planes = chroma.planes.copy()
        planes[..., 1::2] += planes[..., 0::2] * np.float32(self.lift)
        planes[..., 1::2] /= np.float32(self.gain)
        return replace(chroma, planes=planes)


EVEN = Tone()


@dataclass(frozen=True)
class Chain:
    """How the exposures of a shot's frames are told, after a frame.

    Args:
        anchor: (48, 48) luma of the frame that others are compared with; None before the first.
        anchored: from the anchor to the exposure of the first frame.
        tone: the same from this frame.
        best: the same from the best exposed so far.
        sure: (48, 48) luma of the last frame whose tone was beyond doubt.
        moved: the anchor shows something else than that.
        stretch: how often frames could not be compared with what was before, as at cuts.
    """

    anchor: FloatArray | None = None
    anchored: Tone = EVEN
    tone: Tone = EVEN
    best: Tone = EVEN
    sure: FloatArray | None = None
    moved: bool = False
    stretch: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        tones = [astuple(tone) for tone in (self.anchored, self.tone, self.best)]
        forms = [packed(self.anchor), packed(self.sure)]
        return {"forms": forms, "tones": tones, "moved": self.moved, "stretch": self.stretch}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Chain:
        """The inverse of `as_json`."""
        anchor, sure = map(unpacked, facts["forms"])
        anchored, tone, best = (Tone(*tone) for tone in facts["tones"])
        return cls(anchor, anchored, tone, best, sure, facts["moved"], facts["stretch"])

    def after(self, view: FloatArray, *, cut: bool, disturbed: bool) -> Chain:
        """The next frame: its (S, S) luma in [0, 1]."""
        form = np.asarray(cv2.resize(view, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
        begun = Chain(form, sure=form, stretch=self.stretch + 1)
        if cut or self.anchor is None:
            return begun
        found = _compare(form, self.anchor)
        if found is not None:
            return self._after(form, found, disturbed)
        spread = _moments(form)[1]
        faintness = _moments(self.anchor)[1] / max(spread, 1e-4)
        if faintness > 1 and spread < _FAINT:  # the end of a fade
            lift = _moments(self.anchor)[0] - faintness * _moments(form)[0]
            return replace(self, tone=Tone(faintness, lift).then(self.anchored))
        return self if disturbed else begun

    def _after(self, form: FloatArray, found: _Comparison, disturbed: bool) -> Chain:
        if disturbed:
            return replace(self, tone=found.tone.then(self.anchored))
        chain = self._drawn_back(form) if self.moved and _moments(form)[1] > _DIM else self
        tone = found.tone.then(chain.anchored)
        best = tone if is_better(tone, chain.best) and not is_glaring(form) else chain.best
        chain = replace(chain, tone=tone, best=best)
        is_other = found.likeness < _NEAR
        if is_other or found.tone.gain < _BETTER_ANCHOR:
            return replace(chain, anchor=form, anchored=tone, moved=chain.moved or is_other)
        return chain

    def _drawn_back(self, form: FloatArray) -> Chain:
        """Behind a pan or a dissolve, how much light there should be is known ever less: what is there now may be as it
        is meant to be. Errors end here as well."""
        assert self.sure is not None
        share = _DOUBT if _shift(form, self.sure)[2] >= _RELATED else _GREAT_DOUBT
        anchored = self.anchored.towards(self.best, share)
        left = max(abs(anchored.gain / self.best.gain - 1), abs(anchored.lift - self.best.lift))
        if left < _NOTHING:
            return replace(self, anchored=self.best, sure=form, moved=False)
        return replace(self, anchored=anchored, sure=form if left < _CLOSE else self.sure)


def is_better(tone: Tone, than: Tone) -> bool:
    """Whether a frame of one tone is clearly better exposed than one of the other."""
    return tone.gain < _BETTER * than.gain


def is_glaring(view: FloatArray) -> bool:
    """Whether much of it is white, as of an overexposed frame: a view in [0, 1]."""
    return int(np.count_nonzero(view > _BRIGHT)) > _MOST_WHITE * view.size


def weight(tone: Tone, view: FloatArray) -> float:
    """How much the guess counts that is made of a view, which was brought there by this tone."""
    return max(_LEAST_WEIGHT, (min(1.0, 1 / tone.gain) * min(1.0, _moments(view)[1] / _CLEAR)) ** 2)


@dataclass(frozen=True)
class _Comparison:
    """From a frame to another one: the tone, and the correlation of what both have in common."""

    tone: Tone
    likeness: float


def _compare(form: FloatArray, other: FloatArray) -> _Comparison | None:
    """None where the two frames don't show the same."""
    if cv2.norm(form, other, cv2.NORM_L1) <= _SAME * form.size:
        return _Comparison(EVEN, 1.0)
    across, down, likeness = _shift(form, other)
    if likeness < _COMPARABLE:
        return None
    one = form[max(0, -down) : _SIDE - max(0, down), max(0, -across) : _SIDE - max(0, across)]
    two = other[max(0, down) : _SIDE - max(0, -down), max(0, across) : _SIDE - max(0, -across)]
    tone = _fitted(*(np.ascontiguousarray(part[::_EVERY, ::_EVERY]) for part in (one, two)))
    return None if tone is None else _Comparison(tone, likeness)


def _shift(form: FloatArray, other: FloatArray) -> tuple[int, int, float]:
    """By how much `form` lies further right and down in `other`, and how alike they are then."""
    middle = form[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    found = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED)
    _, likeness, _, (x, y) = cv2.minMaxLoc(found)
    return x - _SHIFT, y - _SHIFT, float(likeness)


def _fitted(one: FloatArray, two: FloatArray) -> Tone | None:
    """The tone that makes the common part of `one` as bright and as contrasty as that of `two`."""
    usable = (np.minimum(one, two) > _DARK) & (np.maximum(one, two) < _BRIGHT)
    common, tone = usable, EVEN
    mean = deviation = 0.0
    for _ in range(_FITS):
        if np.count_nonzero(common) < _LEAST_COMMON * common.size:
            return None
        (mean, deviation), (due, due_deviation) = (_moments(values, common) for values in (one, two))
        gain = max(due_deviation, 1e-4) / max(deviation, 1e-4)
        tone = Tone(gain, due - gain * mean)
        away = np.abs(np.float32(gain) * one + np.float32(tone.lift) - two)
        typical = float(np.partition(away.ravel(), away.size // 2)[away.size // 2])
        common = usable & (away <= max(_LEAST_TOLERANCE * max(1.0, gain), 2 * typical))
    return tone.settled((mean - 1.5 * deviation, mean + 1.5 * deviation))


def _moments(luma: FloatArray, where: npt.NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Mean and standard deviation."""
    mask = None if where is None else where.view(np.uint8)
    mean, deviation = cv2.meanStdDev(luma, mask=mask)
    return float(mean[0, 0]), float(deviation[0, 0])
