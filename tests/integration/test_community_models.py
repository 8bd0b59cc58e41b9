"""`--model FILE.pth`: DDColor with random weights of its true shapes, and what is none."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restore.colorizers import Engine, load_engine
from restore.colorizers.community import CommunityColorModel
from restore.errors import ModelError, UsageError
from restore.options import EngineOptions
from tests.conftest import Result
from tests.films import has_colour, make_film
from tests.pictures import chroma_of, files_below, luma_of, save_grey

pytestmark = pytest.mark.skipif(find_spec("spandrel_extra_arches") is None, reason="the extra `community` is missing")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def ddcolor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DDColor tiny as it is published: the weights under the key "params"."""
    from spandrel_extra_arches.architectures.DDColor import DDColor

    torch.manual_seed(1)
    network = DDColor(encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral", num_queries=100)
    luma = torch.rand(1, 1, 64, 64).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        network.train()(luma)  # finds the spectral norms: without, the least change of the input changes all
        spread = network.eval()(luma).std()
    state = network.state_dict()
    state["refine_net.0.0.weight_u"] *= spread / 15  # ab of the size that published weights give
    path = tmp_path_factory.mktemp("community") / "ddcolor_tiny.pth"
    torch.save({"params": state}, path)
    return path


@pytest.fixture(scope="module")
def model(ddcolor: Path) -> CommunityColorModel:
    """That, loaded: it takes seconds."""
    return CommunityColorModel(ddcolor)


def views(count: int, size: int) -> list[Any]:
    across = np.linspace(0.1, 0.9, size, dtype=np.float32)
    noise = np.random.default_rng(3).random((count, size, size), np.float32)
    return list(np.asarray(0.8 * across * across[:, None] + 0.2 * noise, np.float32))


def test_colours_are_those_of_spandrels_own_pipeline(ddcolor: Path, model: CommunityColorModel) -> None:
    from spandrel import MAIN_REGISTRY, ModelLoader
    from spandrel_extra_arches import EXTRA_REGISTRY
    from spandrel_extra_arches.architectures.DDColor import linear_rgb_to_lab, rgb_to_linear_rgb

    registry = MAIN_REGISTRY.copy()
    registry.add(*EXTRA_REGISTRY)
    theirs = ModelLoader(registry=registry).load_from_file(ddcolor)
    (view,) = views(1, 256)
    with torch.inference_mode():
        rgb = theirs(torch.from_numpy(view)[None, None])
        expected = linear_rgb_to_lab(rgb_to_linear_rgb(rgb))[0, 1:].numpy()
    ours = Engine(model, EngineOptions(device="cpu"))
    assert (ours.size, ours.runtime, ours.model_name) == (256, "torch", "ddcolor_tiny")
    ab = ours.predict([view])[0]
    inside = ((rgb > 0.001) & (rgb < 0.999)).all(dim=1)[0].numpy()
    assert inside.mean() > 0.3 and np.abs(expected[:, inside]).mean() > 1
    assert np.abs(ab - expected)[:, inside].max() < 0.1


def test_batches_and_threads_give_what_one_at_a_time_gives(model: CommunityColorModel) -> None:
    lumas = views(4, 64)
    engine = Engine(model, EngineOptions(device="cpu", size=64, batch=4))
    together = engine.predict(lumas)
    alone = [engine.predict([luma])[0] for luma in lumas]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda luma: engine.predict([luma])[0], lumas * 2))
    for i, one in enumerate(alone):
        assert one.shape == (2, 64, 64)
        assert np.abs(together[i] - one).max() < 0.01
        assert all(np.array_equal(threaded[i + 4 * turn], one) for turn in range(2))
    assert np.abs(alone[0] - alone[1]).mean() > 0.05


def test_photos_films_and_info(
    run_command: Callable[[str], Run],
    ddcolor: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lumas = [save_grey(tmp_path / "in" / f"{i}.png", 120, 90, seed=i) for i in range(3)]
    options = ("--size", "64", "--batch", "2", "--output")
    result = run_command("photos")(tmp_path / "in", *options, tmp_path / "out", model=ddcolor)
    assert result.code == 0 and result.report["model"]["name"] == "ddcolor_tiny", result.err
    for i, luma in enumerate(lumas):
        assert np.array_equal(luma_of(tmp_path / "out" / f"{i}.png"), luma)
        assert chroma_of(tmp_path / "out" / f"{i}.png") > 2

    film = make_film(tmp_path / "film.mp4", 9)
    assert run_command("video")(film, *options, tmp_path / "coloured.mp4", model=ddcolor).code == 0
    assert has_colour(tmp_path / "coloured.mp4")

    from restore.cli import main

    monkeypatch.setattr(sys, "argv", ["restore", "models", "info", str(ddcolor)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert not ended.value.code
    for fact in (
        "community",
        "DDColor",
        "convnext-t",
        "256; --size takes multiples of 32",
        "none",
        "not known",
        "unknown",
    ):
        assert fact in said


def test_what_it_can_not_do_is_said(ddcolor: Path, model: CommunityColorModel) -> None:
    with pytest.raises(UsageError, match="no styles"):
        load_engine(EngineOptions(str(ddcolor), device="cpu", style="vivid"))
    with pytest.raises(UsageError, match="--calm needs"):
        Engine(model, EngineOptions(device="cpu", calm=0.5))


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("form", ["pickle", "zip", "old"])
def test_code_in_a_checkpoint_is_not_run(restore_photos: Run, tmp_path: Path, form: str) -> None:
    mark, path = tmp_path / "executed", tmp_path / "bad.pth"
    content = {"params": {"weight": torch.zeros(2)}, "more": Malicious(mark)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    save_grey(tmp_path / "in" / "a.png")
    result = restore_photos(tmp_path / "in", "--output", tmp_path / "out", model=path)
    assert (result.code, files_below(tmp_path / "out")) == (6, set()), result.err
    assert "bad.pth holds more than weights" in result.err and "Traceback" not in result.err
    assert not mark.exists()
    if form == "pickle":  # that it could have been
        pickle.loads(path.read_bytes())
        assert mark.exists()


def test_what_is_no_colorizer_is_named(ddcolor: Path, tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact

    def complaint(name: str, content: object) -> str:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(ModelError, match=name) as raised:
            load_engine(EngineOptions(str(path), device="cpu"))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    upscaler = Compact(num_feat=16, num_conv=2, upscale=2)
    assert "is an upscaler (Compact), not a colorizer. Give a checkpoint of DDColor" in complaint(
        "up.pth", {"params": upscaler.state_dict()}
    )
    assert "not known" in complaint("own.pth", torch.nn.Linear(3, 3).state_dict())
    assert "no weights by name" in complaint("list.pth", [torch.zeros(3)])
    state = torch.load(ddcolor, weights_only=True)["params"]
    del state["decoder.color_decoder.query_embed.weight"]
    assert "does not fit its network" in complaint("short.pth", state)
    whole = (tmp_path / "up.pth").read_bytes()
    for name, content in (("empty.pth", b""), ("text.pth", b"hello"), ("cut.pth", whole[: len(whole) // 2])):
        assert "damaged" in complaint(name, content)


def test_without_the_extra_it_says_how_to_get_it(
    restore_photos: Run, ddcolor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    save_grey(tmp_path / "a.png")
    result = restore_photos(tmp_path / "a.png", model=ddcolor)
    assert result.code == 5
    assert "spandrel_extra_arches, which is not installed. Run: pip install 'restore-color[community]'" in result.err
