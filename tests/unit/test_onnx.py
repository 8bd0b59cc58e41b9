"""Exported models: the same colours as PyTorch's, chosen by digest, and clear errors."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from restore.colorizers import load_engine
from restore.colorizers.loading import find_twin
from restore.colorizers.network import NetworkColorModel
from restore.colorizers.onnx_export import export_onnx
from restore.colorizers.onnx_model import OnnxColorModel
from restore.errors import DeviceError, ModelError, UsageError
from restore.model_files import WEIGHTS_DIR, sha256
from restore.options import EngineOptions, Era, Style
from tests.exported import HEADS, save_small
from train.publish import publish

MAX_ERROR = 0.01  # Lab units, as docs/architecture.md states; 0.25 where weights are stored in half precision
MAX_HALF_ERROR = 0.25


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each head, and its exported form beside it."""
    folder = tmp_path_factory.mktemp("models")
    for head in HEADS:
        save_small(folder / f"{head}.safetensors", head)
        export_onnx(folder / f"{head}.safetensors", folder / f"{head}.onnx")
    return folder


def views(count: int, size: int) -> npt.NDArray[np.float32]:
    across = np.linspace(0, 1, size, dtype=np.float32)
    noise = np.random.default_rng(3).random((count, size, size), np.float32)
    return np.asarray(0.7 * (across * across[:, None]) + 0.3 * noise, np.float32)


def guesses(
    path: Path, luma: npt.NDArray[np.float32], style: Style | None = None, doubt: bool = False
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Of PyTorch in float32 and of ONNX Runtime."""
    ours = NetworkColorModel.from_file(path, style)
    ours.prepare("cpu", "float32")
    theirs = OnnxColorModel(path.with_suffix(".onnx"))
    theirs.choose_style(style)
    theirs.prepare("cpu")
    return ours.predict(luma, doubt), theirs.predict(luma, doubt)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("count", "size"), [(1, 64), (3, 64), (2, 128)])
def test_colours_equal_those_of_pytorch_at_any_batch_and_size(folder: Path, head: str, count: int, size: int) -> None:
    ours, theirs = guesses(folder / f"{head}.safetensors", views(count, size))
    assert theirs.shape == ours.shape and theirs.dtype == np.float32
    assert np.abs(ours).max() > 1  # there is colour to compare
    assert np.abs(ours - theirs).max() < MAX_ERROR


@pytest.mark.parametrize(
    ("grown", "hints"),
    [
        ({"attention": 2, "attention_width": 64, "wide": [32, 64], "wide_blocks": 1}, False),
        ({"attention": 1, "attention_width": 64, "half": 32, "queries": 2}, True),
    ],
    ids=("wide", "queries"),
)
def test_grown_networks_export(grown: dict[str, object], hints: bool, tmp_path: Path) -> None:
    path = tmp_path / "grown.safetensors"
    save_small(path, "least_cost", grown=grown, hints=hints)
    export_onnx(path, path.with_suffix(".onnx"))
    for count, size in ((1, 64), (3, 96)):
        ours, theirs = guesses(path, views(count, size))
        stride = 2 if "half" in grown else 4
        assert ours.shape == theirs.shape == (count, 2, size // stride, size // stride)
        assert np.abs(ours).max() > 1
        assert np.abs(ours - theirs).max() < MAX_ERROR


@pytest.mark.parametrize("head", ["annealed", "least_cost", "fitted"])
def test_styles_equal_those_of_pytorch_and_differ(folder: Path, head: str) -> None:
    seen = []
    for style in (None, "natural", "vivid"):
        ours, theirs = guesses(folder / f"{head}.safetensors", views(2, 64), style)  # type: ignore[arg-type]
        assert np.abs(ours - theirs).max() < MAX_ERROR
        seen.append(theirs)
    pairs = ((0, 1), (1, 2)) if head == "fitted" else ((0, 1), (0, 2), (1, 2))  # fitted ones are vivid by themselves
    assert all(np.abs(seen[i] - seen[j]).max() > 0.1 for i, j in pairs)


def test_each_picture_of_a_batch_has_its_era(folder: Path) -> None:
    path, luma, eras = folder / "fitted.safetensors", views(3, 64), ("modern", "period", "modern")
    for model in (NetworkColorModel.from_file(path), OnnxColorModel(path.with_suffix(".onnx"))):
        model.prepare("cpu", "float32")
        assert model.knows_eras
        mixed = model.predict(luma, eras=eras)
        for era in get_args(Era):
            alone = model.predict(luma, eras=[era] * 3)
            same = [np.abs(mixed[i] - alone[i]).max() < MAX_ERROR for i in range(3)]
            assert same == [each == era for each in eras]
        assert np.abs(model.predict(luma) - model.predict(luma, eras=["period"] * 3)).max() < MAX_ERROR


@pytest.mark.parametrize("style", [None, "natural"])
@pytest.mark.parametrize("head", ["annealed", "least_cost", "fitted"])
def test_doubt_equals_that_of_pytorch_and_leaves_the_colours(folder: Path, head: str, style: Style | None) -> None:
    luma = views(2, 64)
    path = folder / f"{head}.safetensors"
    models = NetworkColorModel.from_file(path, style), OnnxColorModel(path.with_suffix(".onnx"))
    models[1].choose_style(style)
    results = []
    for model in models:
        model.prepare("cpu", "float32")
        assert model.classes is not None
        results.append(model.predict(luma, doubt=True))
        assert np.array_equal(results[-1][:, :2], model.predict(luma))
    assert results[0].shape == results[1].shape == (2, 3, 16, 16)
    assert np.ptp(results[0][:, 2]) > 5 * MAX_ERROR  # it differs from place to place
    assert np.abs(results[0] - results[1]).max() < MAX_ERROR


@pytest.mark.parametrize("head", ["annealed", "least_cost", "fitted"])
def test_the_distribution_equals_that_of_pytorch_and_leaves_the_colours(folder: Path, head: str) -> None:
    luma, path = views(2, 64), folder / f"{head}.safetensors"
    models = NetworkColorModel.from_file(path), OnnxColorModel(path.with_suffix(".onnx"))
    results = []
    for model in models:
        model.prepare("cpu", "float32")
        ab, shares = model.distribution(luma)
        assert np.array_equal(ab, model.predict(luma))
        assert shares.sum(-1) == pytest.approx(1, abs=1e-4)
        results.append(shares)
    assert results[0].shape == results[1].shape == (2, 16, 16, len(results[0][0, 0, 0]))
    assert np.abs(results[0] - results[1]).max() < 1e-4
    ours, theirs = (model.classes for model in models)
    assert ours is not None and theirs is not None
    assert np.array_equal(ours.bins, theirs.bins)
    assert ours.weights == pytest.approx(theirs.weights, rel=1e-6)
    assert np.ptp(theirs.weights) > 1


def test_a_regression_does_not_know_doubt(folder: Path) -> None:
    path = folder / "regression.safetensors"
    assert NetworkColorModel.from_file(path).classes is None
    assert OnnxColorModel(path.with_suffix(".onnx")).classes is None


@pytest.mark.parametrize("style", ["natural", "vivid"])
def test_the_shipped_pair_agrees(style: Style) -> None:
    path = WEIGHTS_DIR / "default.safetensors"
    twin = find_twin(path)
    assert twin is not None, "run python -m train.publish, which writes both"
    assert twin.sha256 == sha256(path)
    assert path.with_suffix(".onnx").stat().st_size < 16 * 2**20
    ours, theirs = guesses(path, views(2, 192), style, doubt=True)
    assert np.abs(ours - theirs).max() < MAX_HALF_ERROR


def test_halves_are_smaller_and_near(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(folder / "least_cost.safetensors", path)
    export_onnx(path, path.with_suffix(".onnx"), half=True)
    assert path.with_suffix(".onnx").stat().st_size < 0.6 * (folder / "least_cost.onnx").stat().st_size
    ours, theirs = guesses(path, views(2, 64))
    assert 0 < np.abs(ours - theirs).max() < MAX_HALF_ERROR


def test_publishing_writes_a_pair(folder: Path, tmp_path: Path) -> None:
    run = str(folder / "annealed.safetensors")
    publish(run, licence="MIT", name="mine", output=tmp_path, vividness=20.0, working_size=128)
    twin = find_twin(tmp_path / "mine.safetensors")
    assert twin is not None
    assert (twin.name, twin.working_size, twin.info.vividness) == ("mine", 128, 20.0)
    ours, theirs = guesses(tmp_path / "mine.safetensors", views(1, 128))
    assert np.abs(ours - theirs).max() < MAX_HALF_ERROR


def test_metadata_comes_from_the_checkpoint(folder: Path) -> None:
    exported = OnnxColorModel(folder / "least_cost.onnx")
    assert exported.name == "small-least_cost"
    assert (exported.working_size, exported.size_multiple) == (64, 32)
    assert exported.sha256 == sha256(folder / "least_cost.onnx")
    info = exported.info
    assert info.source_sha256 == sha256(folder / "least_cost.safetensors")
    assert (info.licence, info.training, info.vividness) == ("MIT", {"steps": 3}, 24.0)
    assert info.config["generator"]["architecture"] == "unet"


def test_no_path_of_the_machine_that_made_it_is_inside(folder: Path) -> None:
    weights = Path(str(files("restore"))) / "weights"
    for path in (folder / "least_cost.onnx", *weights.iterdir(), weights.parent / "photos" / "negative.onnx"):
        assert b"onnx_export.py" not in path.read_bytes() and b'.py", line' not in path.read_bytes()
        assert b'"init": "/' not in path.read_bytes().replace(b"\\", b"")


def test_a_current_twin_runs_on_the_cpu_and_gives_the_same(folder: Path) -> None:
    path = folder / "annealed.safetensors"
    by_onnx = load_engine(EngineOptions(str(path), device="cpu"))
    by_torch = load_engine(EngineOptions(str(path), device="cpu", runtime="torch", dtype="float32"))
    assert (by_onnx.runtime, by_onnx.dtype, by_torch.runtime) == ("onnxruntime", "float32", "torch")
    assert by_onnx.model_sha256 == by_torch.model_sha256 == sha256(path)
    view = views(1, 64)[0]
    assert np.abs(by_onnx.predict([view])[0] - by_torch.predict([view])[0]).max() < MAX_ERROR


def test_long_work_goes_to_pytorch_where_the_chip_has_matrix_units(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    monkeypatch.setattr("restore.colorizers.devices._CPU_FACTS", facts)
    options = EngineOptions(str(folder / "annealed.safetensors"), device="cpu")
    for flags, long_work, runtime in (
        ("fpu amx_bf16 avx2", True, "torch"),
        ("fpu amx_bf16 avx2", False, "onnxruntime"),
        ("fpu avx512_bf16", True, "onnxruntime"),
    ):
        facts.write_text(f"flags : {flags}\n")
        assert load_engine(options, long_work=long_work).runtime == runtime


@pytest.mark.parametrize("damage", ["of other weights", "truncated", "missing"])
def test_only_a_current_twin_is_used(folder: Path, tmp_path: Path, damage: str) -> None:
    path, twin = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    save_small(path, "annealed", seed=2 if damage == "of other weights" else 1)
    if damage != "missing":
        data = (folder / "annealed.onnx").read_bytes()
        twin.write_bytes(data[: len(data) // 2] if damage == "truncated" else data)
    engine = load_engine(EngineOptions(str(path), device="cpu"))
    assert engine.runtime == "torch"
    with pytest.raises(ModelError, match="begin anew"):
        load_engine(EngineOptions(str(path), device="cpu", runtime="onnxruntime"))


@pytest.mark.parametrize("content", ["empty", "text", "truncated", "checkpoint"])
def test_what_is_no_onnx_model_is_named(folder: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.onnx"
    whole = (folder / "regression.onnx").read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"not a model",
            "truncated": whole[: len(whole) // 2],
            "checkpoint": (folder / "regression.safetensors").read_bytes(),
        }[content]
    )
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        load_engine(EngineOptions(str(path), device="cpu"))


def changed(source: Path, target: Path, **metadata: str | None) -> Path:
    """The same model with other metadata; None leaves a key out."""
    model = onnx.load(source)
    kept = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value is not None})
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"format": None}, "not one of restore"),
        ({"format_version": "1"}, "Update restore"),
        ({"weights": "[1.0]"}, "can't be read"),
        ({"weights": "[0]"}, "can't be read"),
        ({"weights": '["a"]'}, "can't be read"),
        ({"weights": "null"}, "can't be read"),
        ({"working_size": "big"}, "can't be read"),
        ({"licence": None}, "can't be read"),
        ({"size_multiple": "0"}, "does not fit"),
        ({"vividness": ""}, "does not fit"),
    ],
)
def test_foreign_and_newer_models_are_told(
    folder: Path, tmp_path: Path, metadata: dict[str, str | None], complaint: str
) -> None:
    path = changed(folder / "least_cost.onnx", tmp_path / "changed.onnx", **metadata)
    with pytest.raises(ModelError, match=complaint):
        load_engine(EngineOptions(str(path), device="cpu"))


def test_weights_in_other_files_are_not_read(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "regression.onnx")
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match=r"split\.onnx"):
        load_engine(EngineOptions(str(path), device="cpu"))


def test_what_an_exported_model_can_not_do(folder: Path, tmp_path: Path) -> None:
    path = str(folder / "regression.onnx")
    with pytest.raises(UsageError, match="no styles"):
        load_engine(EngineOptions(path, device="cpu", style="vivid"))
    with pytest.raises(DeviceError, match="CPU only"):
        load_engine(EngineOptions(path, device="cuda"))
    coarse = changed(Path(path), tmp_path / "coarse.onnx", size_multiple="64")
    with pytest.raises(UsageError, match="multiple of 64"):
        load_engine(EngineOptions(str(coarse), device="cpu", size=96))
