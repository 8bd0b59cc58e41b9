"""Which options a result depends on, and what those are that the model chooses."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from restore.colorizers.own import with_own_choices
from restore.model_files import WEIGHTS_DIR
from restore.options import EngineOptions, PhotoOptions, VideoOptions, effective

OTHER: dict[str, Any] = {
    "size": 64,
    "style": "natural",
    "era": "period",
    "format": "png",
    "already_color": "recolor",
    "start": 1.0,
    "duration": 1.0,
}


@pytest.mark.parametrize("options", [EngineOptions(), PhotoOptions([Path("in")]), VideoOptions()])
def test_every_option_counts_but_those_that_are_named(options: EngineOptions | PhotoOptions | VideoOptions) -> None:
    names = {entry.name for entry in fields(options)}
    assert names > options.WITHOUT_EFFECT
    before = effective(options)
    for name in names - options.WITHOUT_EFFECT:
        value = getattr(options, name)
        other = OTHER[name] if name in OTHER else (not value if isinstance(value, bool) else value / 2 or 0.5)
        assert effective(replace(options, **{name: int(other) if type(value) is int else other})) != before, name


def test_where_a_result_lies_and_what_is_shown_of_it_count_for_nothing() -> None:
    options = PhotoOptions([Path("in")])
    elsewhere = PhotoOptions([Path("b")], Path("out"), overwrite=True, jobs=3, compare=True, sheet=Path("page.html"))
    assert effective(elsewhere) == effective(options)
    assert effective(EngineOptions("other", "cuda", 4, dtype="bfloat16", runtime="torch")) == effective(EngineOptions())


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_what_the_default_model_chooses(suffix: str) -> None:
    path = WEIGHTS_DIR / f"default{suffix}"
    full = with_own_choices(EngineOptions(calm=0.5), path)
    assert full == EngineOptions(calm=0.5, style="vivid", size=full.size) and full.size
    assert with_own_choices(EngineOptions(style="natural", size=96), path) == EngineOptions(style="natural", size=96)


def test_what_a_model_without_styles_chooses(tiny_model: Path) -> None:
    assert with_own_choices(EngineOptions(), tiny_model) == EngineOptions(size=64)


@pytest.mark.parametrize(("vividness", "style"), [(18.0, "natural"), (36.0, "vivid"), (20.0, None), (None, None)])
def test_a_style_that_was_trained_is_known_by_its_vividness(
    tmp_path: Path, vividness: float | None, style: str | None
) -> None:
    from restore.checkpoint import CheckpointInfo, save_checkpoint
    from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model

    head = HeadConfig("classes", vividness=vividness)
    config = ModelConfig(GeneratorConfig("unet", {"filters": 4, "downs": 5}), head, working_size=96)
    save_checkpoint(tmp_path / "m.safetensors", build_model(config), CheckpointInfo("m", "MIT"))
    assert with_own_choices(EngineOptions(), tmp_path / "m.safetensors") == EngineOptions(style=style, size=96)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pth"])
def test_a_damaged_file_chooses_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"no model at all")
    assert with_own_choices(EngineOptions(), path) == EngineOptions()
