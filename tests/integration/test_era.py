"""`--era`: whose palette photos and films get, by the option and by what their files say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from restore import Colorizer
from restore.colorizers import load_engine
from restore.colorizers.describe import describe
from restore.errors import UsageError
from restore.options import EngineOptions, ServeOptions, VideoOptions
from restore.video.pipeline import prepare
from restore.web.desk import Desk
from restore.web.items import Item, Settings
from restore.web.shown import shown
from restore.web.words import command
from tests.clips import Clip, make_clip
from tests.command import restore_here
from tests.conftest import Run
from tests.exported import save_small
from tests.films import digest
from tests.pictures import colourful, grey

Tag = ExifTags.Base


def phone_exif() -> bytes:
    exif = Image.Exif()
    exif.update({Tag.Make: "Google", Tag.Model: "Pixel 8"})
    exif.get_ifd(ExifTags.IFD.Exif).update({Tag.ExposureTime: 0.01, Tag.FNumber: 1.8})
    return exif.tobytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose colours depend on the era."""
    path = tmp_path_factory.mktemp("model") / "fitted.safetensors"
    save_small(path, "fitted")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The same picture as an old one and as a phone's, and the phone's as a document of two pages."""
    folder = tmp_path / "in"
    folder.mkdir()
    picture = Image.fromarray(grey())
    picture.save(folder / "old.png")
    picture.save(folder / "phone.png", exif=phone_exif())
    picture.save(folder / "pages.tif", save_all=True, append_images=[picture], exif=phone_exif())
    return folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_photos_go_by_their_files_unless_an_era_is_named(
    archive: Path, model: Path, tmp_path: Path, restore_photos: Run
) -> None:
    eras, results = {}, {}
    for era in ("auto", "period", "modern"):
        out = tmp_path / era
        result = restore_photos(archive, "--output", out, "--era", era, "--confidence", model=model)
        assert result.code == 0
        eras[era] = {Path(file["path"]).name: file["era"] for file in result.report["files"]}
        results[era] = {name: pixels(out / name) for name in eras[era]}
        xmp = Image.open(out / "old.png").info["xmp"]
        assert f"in colours of the {eras[era]['old.png']} era".encode() in xmp
    assert eras["auto"] == {"old.png": "period", "phone.png": "modern", "pages.tif": "modern"}
    assert set(eras["period"].values()) == {"period"} and set(eras["modern"].values()) == {"modern"}
    period, modern = results["period"], results["modern"]
    for name, auto in eras["auto"].items():
        assert np.array_equal(results["auto"][name], results[auto][name])
        assert not np.array_equal(period[name], modern[name])
    assert np.array_equal(period["old.png"], period["phone.png"])
    assert np.array_equal(period["old.png"], period["pages.tif"])
    with Image.open(tmp_path / "auto" / "pages.tif") as image:
        image.seek(1)
        assert np.array_equal(np.asarray(image.convert("RGB")), modern["pages.tif"])


def test_another_era_is_another_result(archive: Path, model: Path, tmp_path: Path, restore_photos: Run) -> None:
    run = lambda *more: restore_photos(archive, "--output", tmp_path / "out", *more, model=model)  # noqa: E731
    assert run().report["summary"]["done"] == 3
    assert run("--era", "auto").report["summary"]["done"] == 0
    assert run("--era", "modern").report["summary"]["done"] == 3
    assert run("--era", "modern").report["summary"]["done"] == 0
    assert run("--era", "period").report["summary"]["done"] == 3


@pytest.mark.parametrize("era", ["period", "modern"])
def test_a_model_without_eras_refuses_one(
    archive: Path, tiny_model: Path, tmp_path: Path, restore_photos: Run, restore_video: Run, era: str
) -> None:
    film = make_clip(tmp_path / "a.mkv", Clip())
    for result in (
        restore_photos(archive, "--output", tmp_path / "out", "--era", era),
        restore_video(film, "--era", era),
    ):
        assert result.code == 2
        assert "--era: model tiny knows no eras. Leave --era out, or take model default" in result.err
    files = restore_photos(archive, "--output", tmp_path / "out").report["files"]
    assert {file["status"] for file in files} == {"done"} and {file["era"] for file in files} == {None}
    assert b"era" not in Image.open(tmp_path / "out" / "old.png").info["xmp"]
    with pytest.raises(UsageError, match="knows no eras"):
        Colorizer(str(tiny_model), era="period")


def test_sweep_and_estimate_know_the_era(archive: Path, model: Path, tmp_path: Path, restore_photos: Run) -> None:
    sheets = {}
    for name, era in (("old", "auto"), ("phone", "auto"), ("old", "modern"), ("phone", "period")):
        sheet = tmp_path / f"{name}-{era}.png"
        options = ("--sweep", sheet, "--size", "64", "--era", era)
        assert restore_photos(archive / f"{name}.png", *options, model=model, with_report=False).code == 0
        sheets[name, era] = pixels(sheet)
    assert np.array_equal(sheets["old", "auto"], sheets["phone", "period"])
    assert np.array_equal(sheets["phone", "auto"], sheets["old", "modern"])
    assert not np.array_equal(sheets["old", "auto"], sheets["phone", "auto"])
    dry = restore_photos(archive, "--era", "modern", "--dry-run", model=model, with_report=False)
    assert dry.code == 0 and "3 photos to colour in about" in dry.err + dry.out


def test_films_are_of_the_period_unless_a_phone_took_them(model: Path, tmp_path: Path, restore_video: Run) -> None:
    digests = {}
    for name, tags in (("old", {"date": "2024"}), ("phone", {"com.android.version": "14"})):
        film = make_clip(tmp_path / f"{name}.mkv", Clip(metadata=tags))
        for era in ("auto", "period", "modern"):
            out = tmp_path / f"{name}-{era}.mkv"
            # Lossless: x264 may encode equal frames differently from run to run.
            result = restore_video(film, "--output", out, "--era", era, "--codec", "ffv1", model=model)
            assert result.code == 0
            digests[name, era] = result.report["files"][0]["era"], digest(out).frames
    assert {key: era for key, (era, _) in digests.items() if key[1] == "auto"} == {
        ("old", "auto"): "period",
        ("phone", "auto"): "modern",
    }
    assert digests["old", "auto"] == digests["old", "period"] != digests["old", "modern"]
    assert digests["phone", "auto"] == digests["phone", "modern"] != digests["phone", "period"]


def test_unfinished_films_go_on_in_the_same_era_only(model: Path, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "a.mkv", Clip())
    plans = [
        prepare(film, tmp_path / "out.mkv", VideoOptions(), EngineOptions(str(model), era=era)).plan
        for era in ("auto", "period", "modern")
    ]
    assert [plan.options["era"] for plan in plans] == ["auto", "period", "modern"]


def test_evaluations_take_the_era(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    colourful().save(photos / "a.jpg")
    colourful().save(photos / "b.jpg", exif=phone_exif())
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "a.mkv", Clip(color=True))
    reports = {}
    for era in ("auto", "period", "modern"):
        for kind, data in (("photos", photos), ("video", tmp_path / "clips")):
            report = tmp_path / "eval.json"
            restore_here("eval", kind, "--data", data, "--model", model, "--era", era, "--report", report)
            reports[kind, era] = json.loads(report.read_text())
            assert reports[kind, era]["options"]["era"] == era
    assert reports["photos", "auto"]["eras"] == {"period": 1, "modern": 1}
    assert reports["photos", "period"]["eras"] == {"period": 2}
    assert reports["photos", "modern"]["eras"] == {"modern": 2}
    assert reports["photos", "period"]["model"] == reports["photos", "modern"]["model"]
    figures = [json.dumps(reports["photos", era], sort_keys=True) for era in ("auto", "period", "modern")]
    assert len({figure[figure.index('"pictures"') :] for figure in figures}) == 3
    mean = {era: reports["video", era]["mean"] for era in ("auto", "period", "modern")}
    assert mean["auto"] == mean["period"] != mean["modern"]


def test_the_library_goes_by_a_pictures_own_data(archive: Path, model: Path) -> None:
    auto, modern = Colorizer(str(model), device="cpu"), Colorizer(str(model), device="cpu", era="modern")
    with Image.open(archive / "old.png") as old, Image.open(archive / "phone.png") as phone:
        of_old, of_phone, as_modern = auto.colorize(old), auto.colorize(phone), modern.colorize(old)
        many = list(auto.colorize_many([old, phone]))
        doubts = auto.doubt(old), auto.doubt(phone)
    assert np.array_equal(auto.colorize(grey()), of_old)
    assert np.array_equal(of_phone, as_modern)
    assert not np.array_equal(of_old, of_phone)
    assert np.array_equal(many[0], of_old) and np.array_equal(many[1], of_phone)
    assert not np.array_equal(*doubts)


def test_models_say_whether_they_know_eras(model: Path, tiny_model: Path) -> None:
    assert "eras           known: --era works" in describe(str(model)).as_text()
    assert "eras           not known" in describe(str(tiny_model)).as_text()
    assert load_engine(EngineOptions(str(model), device="cpu")).era_for("modern") == "modern"


def test_the_page_offers_the_era(archive: Path, model: Path, tmp_path: Path) -> None:
    desk = Desk(ServeOptions(engine=EngineOptions(str(model), "cpu")))
    try:
        assert desk.knows_eras
        Image.fromarray(grey()).save(archive / "phone.jpg", exif=phone_exif())
        views = {}
        for number, (name, era) in enumerate((("phone.jpg", "auto"), ("phone.jpg", "modern"), ("phone.jpg", "period"))):
            folder = tmp_path / f"item{number}"
            folder.mkdir()
            item = Item("photo", name, folder, archive / name, 1)
            settings = Settings.from_json({"era": era})
            desk.ask(item, "colour", settings)
            while item.state in ("waiting", "working"):
                item.stopped.wait(0.02)
            assert item.result is not None and not item.message
            assert shown(item, None, desk)["settings"]["era"] == era
            assert ("--era" in command(item, settings, desk.options.engine)) == (era != "auto")
            views[era] = pixels(item.result.path), pixels(item.result.folder(item) / "view.jpg")
        for kind in (0, 1):  # the result, and the view that was there before it
            assert np.array_equal(views["auto"][kind], views["modern"][kind])
            assert not np.array_equal(views["auto"][kind], views["period"][kind])
    finally:
        desk.close(10)
