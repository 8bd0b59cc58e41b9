"""How a run's config comes about: recipe, preset, file and flags; stages; data sets by name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError, UsageError
from train.config import OPTIONS, TrainConfig
from train.datasets import DATASETS, open_data, own_validation
from train.presets import PRESETS, RECIPE_DEFAULTS, resolve
from train.schedule import plan


@pytest.mark.parametrize("recipe", RECIPE_DEFAULTS)
def test_every_recipe_resolves_with_nothing_given(recipe: str) -> None:
    config = resolve({"recipe": recipe})
    assert config == resolve(json.loads(config.to_json())), "its own record gives it again"


def test_presets_are_the_published_setups() -> None:
    coco = resolve({"recipe": "pix2pix", "preset": "coco-sample"})
    assert (coco.generator, coco.discriminator, coco.gan_loss, coco.loss, coco.pixel_weight) == (
        "unet", "patch", "vanilla", "l1", 100.0,
    )  # fmt: skip
    assert (coco.learning_rate, coco.beta1, coco.beta2, coco.batch, coco.resize) == (2e-4, 0.5, 0.999, 16, "bicubic")
    assert (coco.subset, coco.val_count, coco.seed, coco.epochs) == (8000, 2000, 123, 100)
    landscapes = resolve({"recipe": "pix2pix", "preset": "landscapes"})
    assert (landscapes.subset, landscapes.val_count, landscapes.seed) == (3000, 1319, 42)
    assert (landscapes.batch, landscapes.epochs, landscapes.sample_every) == (32, 5, 20)
    nogan = resolve({"recipe": "nogan"})
    assert (nogan.generator, nogan.feature_loss, nogan.pretrain_learning_rate, nogan.batch) == (
        "residual_unet", "vgg", 1.1e-4, 4,
    )  # fmt: skip
    two = resolve({"recipe": "two-stage"})
    assert (two.generator, two.encoder_weights, two.pretrain_learning_rate, two.epochs) == (
        "resnet_unet", "imagenet", 1e-4, 40,
    )  # fmt: skip
    places = resolve({"recipe": "regression", "preset": "places"})
    assert (places.generator, places.loss, places.size, places.framing) == ("resnet_regression", "mse", 224, "resized")
    assert set(PRESETS) == {("pix2pix", "coco-sample"), ("pix2pix", "landscapes"), ("regression", "places")}


def test_flags_win_over_the_file_and_the_file_over_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'recipe = "pix2pix"\nbatch = 8\nlearning-rate = 1e-3\ngenerator_arguments = {filters = 16}\nsteps = 7\n'
    )
    config = resolve({"batch": 2}, path)
    assert (config.recipe, config.batch, config.learning_rate, config.generator) == ("pix2pix", 2, 1e-3, "unet")
    assert config.generator_arguments == {"filters": 16}
    assert config.epochs is None, "a bound that is given replaces the recipe's"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("learning_rat = 1e-3", UsageError, r"run\.toml: unknown key 'learning_rat'.*Did you mean 'learning_rate'"),
        ("batch = 2.5", UsageError, r"run\.toml: batch must be a whole number, not 2\.5"),
        ('batch = "many"', UsageError, "batch must be a whole number"),
        ("batch = true", UsageError, "batch must be a whole number"),
        ('gan-loss = "wasserstein"', UsageError, r"gan-loss 'wasserstein' is unknown.*vanilla, lsgan, hinge"),
        ("clip = -1", UsageError, "clip must be at least 0"),
        ("ema = 1.5", UsageError, "ema must be between 0 and 1"),
        ("generator_arguments = 3", UsageError, "generator_arguments must be a table"),
        ("[pix2pix]\nbatch = 3", UsageError, "unknown key 'pix2pix'"),
        ("batch = = 3", InputError, r"run\.toml is no valid toml"),
    ],
)
def test_wrong_keys_and_values_of_a_file_are_named(
    text: str, error: type[Exception], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(error, match=says):
        resolve({}, path)


def test_every_option_is_checked_and_has_help() -> None:
    for option in OPTIONS.values():
        assert option.metadata["help"], option.name
        if option.metadata["choices"]:
            with pytest.raises(UsageError, match="nonsense"):
                TrainConfig(**{option.name: "nonsense"})
        if option.metadata["least"] is not None:
            with pytest.raises(UsageError, match=option.name.replace("_", "-")):
                TrainConfig(**{option.name: type(option.default or 1)(-1)})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"recipe": "magic"}, "magic"),
        ({"preset": "places"}, "--recipe regression"),
        ({"stage_steps": "3,x"}, "--stage-steps"),
        ({"batch": 10, "accumulate": 3}, "--accumulate"),
        ({"generator": "checkpoint"}, "--init"),
        ({"size": 100}, "multiple of 32"),
    ],
)
def test_what_makes_no_sense_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve(given)


TWO = [("pretrain", 0.45), ("gan", 0.55)]


def steps(stages: list[tuple[str, float]], **options: Any) -> list[int | None]:
    return [length.steps for length in plan(TrainConfig(**options), stages, samples=320)]


def test_a_run_is_shared_out_over_its_stages() -> None:
    assert steps(TWO, steps=100) == [45, 55]
    assert steps(TWO, steps=3) == [1, 2]
    assert steps(TWO, epochs=2.0) == [9, 11]
    assert steps(TWO, stage_steps="7,3") == [7, 3]
    assert steps([("gan", 0.55)], steps=100) == [100]
    assert steps([TWO[0], ("discriminator", 0.0), TWO[1]], steps=100, discriminator_steps=20) == [36, 20, 44]
    seconds = [length.seconds for length in plan(TrainConfig(minutes=1.0), TWO, 320)]
    assert seconds == pytest.approx([27, 33])
    with pytest.raises(UsageError, match="pretrain, gan"):
        steps(TWO, stage_steps="7")
    with pytest.raises(UsageError, match="too few"):
        steps(TWO, steps=1)


def picture(seed: int = 0) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture())


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_found_where_its_message_says(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"data set {name} is not under .*Download .*put it at") as missing:
        open_data(name, tmp_path)
    place = Path(str(missing.value).rsplit("put it at ", 1)[1])
    put(place / "a" / "one.png")
    assert open_data(name, tmp_path).name(0) == str(place / "a" / "one.png")


def test_imagenets_three_layouts(tmp_path: Path) -> None:
    challenge, folders, archives = tmp_path / "challenge", tmp_path / "folders", tmp_path / "archives"
    put(challenge / "ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_10026.png")
    put(challenge / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.png")
    put(folders / "imagenet/train/n01440764/n01440764_10026.png")
    archives.mkdir()
    with tarfile.open(archives / "ILSVRC2012_img_train.tar", "w") as outer:
        for label in ("n01440764", "n01443537"):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                member = tarfile.TarInfo(f"{label}_1.png")
                member.size = len(picture())
                tar.addfile(member, io.BytesIO(picture()))
            member = tarfile.TarInfo(f"{label}.tar")
            member.size = len(inner.getvalue())
            outer.addfile(member, io.BytesIO(inner.getvalue()))
    assert len(open_data("imagenet", challenge)) == 1
    held_out = own_validation("imagenet", challenge)
    assert held_out is not None
    assert "val_00000001" in held_out.name(0)
    assert len(open_data("imagenet", folders)) == 1
    for _ in range(2):  # unpacked once, found the next time
        source = open_data("imagenet", archives)
        assert [Path(source.name(i)).name for i in range(2)] == [
            "n01440764.tar:n01440764_1.png",
            "n01443537.tar:n01443537_1.png",
        ]
        assert source.read(1) == picture()


def test_a_path_wins_over_a_data_sets_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "coco" / "mine.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_data("coco", tmp_path / "elsewhere")) == 1
