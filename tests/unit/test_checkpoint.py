"""Checkpoints: round trip, and every wrong file refused with a clear error."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from restore.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from restore.errors import ModelError
from restore.model_files import find_checkpoint
from restore.networks import GeneratorConfig, HeadConfig, Model, ModelConfig, build_model

INFO = CheckpointInfo("tiny", "MIT", {"steps": 3})


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    config = ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 4}), HeadConfig("classes", 0.5, 0.25), 64)
    return build_model(config).eval()


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, INFO)
    return path


def rewrite(path: Path, *, drop: str = "", rename: tuple[str, str] | None = None, **metadata: str) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        kept = {**file.metadata(), **metadata}
    tensors = load_file(path)
    if drop:
        del tensors[drop]
    if rename:
        tensors[rename[1]] = tensors.pop(rename[0])
    save_file(tensors, path, kept)


def test_round_trip(saved: Path, model: Model) -> None:
    loaded, info = load_checkpoint(saved)
    assert info == INFO
    assert loaded.config == model.config
    picture = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(picture), model(picture))


def test_half_precision_keeps_statistics_that_it_could_not_hold(tmp_path: Path) -> None:
    model = build_model(ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 4}), HeadConfig("regression"), 64))
    name, variance = next((n, b) for n, b in model.named_buffers() if n.endswith("running_var"))
    variance.fill_(168_475.0)
    save_checkpoint(tmp_path / "half.safetensors", model, INFO, half=True)
    loaded, _ = load_checkpoint(tmp_path / "half.safetensors")
    assert float(loaded.state_dict()[name].max()) == 168_475.0


def test_half_precision_is_half_the_size_and_nearly_the_same(saved: Path, model: Model, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    save_checkpoint(half, model, INFO, half=True)
    assert half.stat().st_size < 0.6 * saved.stat().st_size
    picture = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert (load_checkpoint(half)[0].eval()(picture) - model(picture)).abs().max() < 0.5


def test_no_part_file_is_left(saved: Path) -> None:
    assert [file.name for file in saved.parent.iterdir()] == ["model.safetensors"]


def test_a_header_whose_length_looks_like_a_pickle_is_read(model: Model, tmp_path: Path) -> None:
    """The file begins with the header's length: for one in 32 its first byte is a pickle's."""
    path = tmp_path / "model.safetensors"
    starts = set()
    for padding in range(0, 256, 8):
        save_checkpoint(path, model, CheckpointInfo("x" * padding, "MIT"))
        starts.add(path.read_bytes()[0])
        load_checkpoint(path)
    assert 0x80 in starts


def test_truncated(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(saved)


def test_empty(saved: Path) -> None:
    saved.write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(saved)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    for name, write in (
        ("a.pth", lambda p: torch.save(Bomb(), p)),
        ("b.safetensors", lambda p: p.write_bytes(pickle.dumps(Bomb()))),
    ):
        path = tmp_path / name
        write(path)
        with pytest.raises(ModelError, match="pickled"):
            load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_foreign_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="not a checkpoint of restore"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": "99"}, "format 99"),
        ({"scaling": '{"l": "L/100"}'}, "scales"),
        (
            {"config": '{"generator": {"architecture": "magic"}, "head": {"kind": "classes"}, "working_size": 64}'},
            "magic",
        ),
        ({"config": "no json"}, "can't be built"),
        ({"drop": "head.bins"}, "head.bins is missing"),
        ({"rename": ("head.bins", "head.colours")}, "head.bins is missing"),
    ],
)
def test_what_does_not_fit_is_named(saved: Path, change: dict[str, object], says: str) -> None:
    rewrite(saved, **change)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=says):
        load_checkpoint(saved)


def test_wrong_shape_is_named(saved: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(saved)
    tensors["head.bins"] = torch.zeros(3, 2)
    save_file(tensors, saved, metadata)
    with pytest.raises(ModelError, match="shape"):
        load_checkpoint(saved)


def test_finding(saved: Path, tmp_path: Path) -> None:
    assert find_checkpoint(str(saved)) == saved
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ModelError, match="holds no"):
        find_checkpoint(str(run))
    (run / "last.safetensors").touch()
    assert find_checkpoint(str(run)).name == "last.safetensors"
    (run / "best.safetensors").touch()
    assert find_checkpoint(str(run)).name == "best.safetensors"
    with pytest.raises(ModelError, match="no model named 'nonsense'"):
        find_checkpoint("nonsense")


def test_a_header_whose_length_begins_as_a_pickle_does(tmp_path: Path) -> None:
    config = ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 5}), HeadConfig("regression"), working_size=64)
    path, model = tmp_path / "model.safetensors", build_model(config)
    for padding in range(256):
        save_checkpoint(path, model, CheckpointInfo("x" * padding, "MIT"))
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert load_checkpoint(path)[1].name == "x" * padding
