"""Recipes by name, in one explicit table."""

from __future__ import annotations

from collections.abc import Callable

from train.config import TrainConfig


def run_recipe(config: TrainConfig, *, resume: bool = False, quiet: bool = False) -> None:
    """Run the recipe that the config names; see each recipe's module."""
    from train.recipes import classes, nogan, pix2pix, regression, two_stage

    table: dict[str, Callable[..., None]] = {
        "classes": classes.run,
        "regression": regression.run,
        "pix2pix": pix2pix.run,
        "nogan": nogan.run,
        "two-stage": two_stage.run,
    }
    table[config.recipe](config, resume=resume, quiet=quiet)
