"""How long a run and its stages are, and how the learning rate moves over a stage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from restore.errors import UsageError
from train.config import TrainConfig

_DEFAULT_EPOCHS = 20.0


@dataclass(frozen=True)
class Length:
    """Bounds of a stage; whichever is nearer ends it."""

    steps: int | None
    seconds: float | None

    def done(self, steps: int, seconds: float) -> float:
        """The share of the stage that is over."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return max(by_steps, by_time)


def plan(config: TrainConfig, stages: list[tuple[str, float]], samples: int) -> list[Length]:
    """The run's bounds, shared out over its stages.

    Args:
        stages: name and share of each, in order; a share of 0 is the discriminator's own stage of fixed length.
        samples: pictures in an epoch.

    Raises:
        UsageError: `--stage-steps` does not fit the stages, or the run is too short for them.
    """
    given = config.given_stage_steps()
    timed = [(name, share) for name, share in stages if share > 0]
    if given:
        if len(given) != len(timed):
            names = ", ".join(name for name, _ in timed)
            raise UsageError(
                f"--stage-steps {config.stage_steps} is for {len(given)} stages; this run has {len(timed)}: {names}"
            )
        counts: list[int | None] = list(given)
    else:
        counts = _shares(_total_steps(config, samples), timed, config.discriminator_steps * (len(timed) < len(stages)))
    whole = sum(share for _, share in timed)
    result = []
    for _, share in stages:
        if share == 0:
            result.append(Length(config.discriminator_steps, None))
        else:
            seconds = config.minutes * 60 * share / whole if config.minutes else None
            result.append(Length(counts.pop(0), seconds))
    return result


def _total_steps(config: TrainConfig, samples: int) -> int | None:
    bounds = [config.steps] if config.steps else []
    epochs = config.epochs or (None if config.steps or config.minutes else _DEFAULT_EPOCHS)
    if epochs:
        bounds.append(max(1, round(epochs * samples / config.batch)))
    return min(bounds) if bounds else None


def _shares(total: int | None, timed: list[tuple[str, float]], taken: int) -> list[int | None]:
    if total is None:
        return [None] * len(timed)
    left, whole = total - taken, sum(share for _, share in timed)
    if left < len(timed):
        raise UsageError(f"{total} steps are too few for {len(timed)} stages and {taken} steps of the discriminator")
    ends, reached = [0], 0.0
    for i, (_, share) in enumerate(timed):
        reached += share / whole
        # Rounded ends rather than lengths, so that the lengths add up; each stage has a step at least.
        ends.append(min(max(round(left * reached), ends[-1] + 1), left - (len(timed) - 1 - i)))
    return [end - start for start, end in pairwise(ends)]


def learning_rate(kind: str, done: float, warmup: float) -> float:
    """The rate as a share of its peak: a linear warm-up, then the schedule.

    Args:
        kind: `cosine`, to a hundredth; `constant`; or `linear`: constant for half of the stage, then falling to zero.
        done: share of the stage.
    """
    if done < warmup:
        return max(done / warmup, 0.01)
    if kind == "constant":
        return 1.0
    if kind == "linear":
        return min(1.0, 2 * (1 - done))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup + 1e-9)))
