"""What each recipe and preset sets, as its project published it; what is not named keeps `TrainConfig`'s default."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from restore.errors import InputError, UsageError
from train.config import CONFIG_NAME, OPTIONS, RECIPES, TrainConfig, check_value

_BOUNDS = ("steps", "epochs", "minutes", "stage_steps")

# What the published GANs share: whole pictures as squares, no degradation, Adam at a constant rate.
_PUBLISHED: dict[str, Any] = {
    "encoder_weights": "none",
    "size": 256,
    "framing": "whole",
    "degrade": 0.0,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "clip": 0.0,
    "encoder_learning_rate": None,
}
_GAN: dict[str, Any] = {**_PUBLISHED, "beta1": 0.5, "learning_rate": 2e-4, "patience": 10}

RECIPE_DEFAULTS: dict[str, dict[str, Any]] = {
    "classes": {},
    "regression": {},
    # Isola et al. 2017 (arXiv:1611.07004): vanilla GAN + 100·L1, from scratch.
    "pix2pix": {**_GAN, "generator": "unet", "initialisation": "normal", "batch": 16, "epochs": 100.0},
    # DeOldify's idea: most of the training without the adversary, then a short GAN stage.
    "nogan": {
        **_GAN,
        "generator": "residual_unet",
        "initialisation": "normal",  # kaiming begins with a saturated tanh
        "ab_scale": 128.0,
        "feature_loss": "vgg",
        "batch": 4,
        "pretrain_learning_rate": 1.1e-4,
        "learning_rate": 1.1e-4,
        "epochs": 6.67,  # 2 M iterations at batch 4 over 1.2 M pictures, three of them before the GAN
    },
    "two-stage": {
        **_GAN,
        "generator": "resnet_unet",
        "encoder_weights": "imagenet",
        "batch": 16,
        "pretrain_learning_rate": 1e-4,
        "epochs": 40.0,
    },
}

# Going on from weights: a tenth of the rates, and BatchNorm's statistics as they are. Those of small batches of crops
# are not those of whole pictures, and cost more than a few minutes of fine-tuning bring.
_FROM_WEIGHTS: dict[str, dict[str, Any]] = {
    "classes": {"learning_rate": 2e-4, "encoder_learning_rate": 5e-5, "freeze_norms": "all"}
}

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("pix2pix", "coco-sample"): {
        "data": "coco-sample",
        "seed": 123,
        "subset": 8000,
        "val_count": 2000,
        "batch": 16,
        "resize": "bicubic",
        "epochs": 100.0,
        "sample_every": 500,
    },
    ("pix2pix", "landscapes"): {
        "data": "landscapes",
        "seed": 42,
        "subset": 3000,
        "val_count": 1319,
        "batch": 32,
        "resize": "bilinear",
        "epochs": 5.0,
        "sample_every": 20,
    },
    # The published rate is 1e-2; 1e-3 is the stable choice with tanh, see docs/training.md.
    ("regression", "places"): {
        **_PUBLISHED,
        "data": "places205",
        "generator": "resnet_regression",
        "loss": "mse",
        "framing": "resized",
        "size": 224,
        "working_size": 224,
        "subset": 40000,
        "val_count": 1000,
        "learning_rate": 1e-3,
        "epochs": 100.0,
    },
}

STAGES: dict[str, tuple[tuple[str, float], ...]] = {
    "classes": (("classes", 1.0),),
    "regression": (("regression", 1.0),),
    "pix2pix": (("gan", 1.0),),
    "nogan": (("pretrain", 0.45), ("gan", 0.55)),
    "two-stage": (("pretrain", 0.5), ("gan", 0.5)),
}
"""Stages of each recipe, and the share of the run that each takes."""


def resolve(given: dict[str, Any], file: Path | None = None) -> TrainConfig:
    """The config of a new run: what was given, over a file, over the preset, over the recipe's defaults.

    Args:
        given: options by their names, without those that were not given.
        file: TOML, or the `config.json` of a run.

    Raises:
        InputError: the file can't be read.
        UsageError: an unknown key or a wrong value, named.
    """
    chosen = {**(_read(file) if file else {}), **given}
    recipe = chosen.setdefault("recipe", "classes")
    if recipe not in RECIPES:
        raise UsageError(f"--recipe {recipe!r} is unknown", f"Known: {', '.join(RECIPES)}")
    preset = chosen.get("preset")
    if preset is not None and (recipe, preset) not in PRESETS:
        known = [f"{name} (--recipe {owner})" for owner, name in PRESETS]
        raise UsageError(f"--preset {preset!r} is no preset of recipe {recipe}", f"Known: {', '.join(known)}")
    defaults = {**RECIPE_DEFAULTS[recipe], **PRESETS.get((recipe, preset or ""), {})}
    if chosen.get("init") is not None:
        chosen.setdefault("generator", "checkpoint")
        defaults |= _FROM_WEIGHTS.get(recipe, {})
    if "generator" in chosen and chosen["generator"] != defaults.get("generator"):
        # The recipe's own weights are those of its own generator.
        packaged = chosen["generator"] == "efficientnet_unet"
        defaults["encoder_weights"] = "package" if packaged else "none"
    if any(chosen.get(bound) is not None for bound in _BOUNDS):
        defaults = {name: value for name, value in defaults.items() if name not in _BOUNDS}
    return TrainConfig(**{**defaults, **chosen})


def read_config(folder: Path) -> TrainConfig:
    """The resolved config that a run wrote into its folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / CONFIG_NAME
    try:
        return TrainConfig(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{folder} is no training run: {CONFIG_NAME} can't be read", "Give --output RUN") from error
    except (TypeError, ValueError, UsageError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"--config {path} can't be read: {error.strerror or error}") from error
    except ValueError as error:  # of either format, or no UTF-8
        raise InputError(f"--config {path} is no valid {path.suffix[1:] or 'TOML'}: {error}") from error
    chosen = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in OPTIONS:
            import difflib

            near = difflib.get_close_matches(name, OPTIONS, 1)
            raise UsageError(
                f"{path}: unknown key {key!r}", f"Did you mean {near[0]!r}?" if near else "See restore train --help"
            )
        check_value(OPTIONS[name], value, f"{path}: {key}")
        chosen[name] = value
    return chosen
