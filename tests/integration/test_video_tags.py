"""Tags that are no UTF-8, as programs of the nineties wrote them: their bytes go over, and nothing stumbles on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from restore.errors import OutputError
from restore.video.pyav import open_input
from restore.web.films import media_type, write_playable
from tests.clips import Clip, make_clip
from tests.conftest import Restore, Result

CLIP = Clip(sound=("aac",), metadata={"title": "René", "ARCHÉ": "été"}, chapters=("L’été",))
# What each container's muxer writes of its own accord.
OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration", "handler_name"}


def in_old_bytes(film: Path) -> Path:
    """Each é and É of a film's tags become two bytes that are no UTF-8."""
    content = film.read_bytes()
    assert "é".encode() in content
    film.write_bytes(content.replace("é".encode(), b"\xe9\xe8").replace("É".encode(), b"\xc9\xc8"))
    return film


def tags_of(film: Path) -> list[dict[str, str]]:
    """Of the file, its chapters and its attachments."""
    with open_input(film) as container:
        owners = [container.metadata, *(chapter["metadata"] for chapter in container.chapters())]
        owners += [stream.metadata for stream in container.streams if stream.type == "attachment"]
    return [{key: value for key, value in tags.items() if key.lower() not in OF_THE_FILE} for tags in owners]


@pytest.mark.parametrize(("before", "after"), [("mkv", "mkv"), ("mkv", "mp4"), ("mp4", "mkv"), ("avi", "mov")])
def test_they_keep_their_bytes(restore_video: Callable[..., Result], tmp_path: Path, before: str, after: str) -> None:
    clip = replace(CLIP, muxer={"movflags": "use_metadata_tags"} if before == "mp4" else {})
    if before == after == "mkv":
        clip = replace(clip, attachments={"été.ttf": b"true type" * 50})
    source, output = in_old_bytes(make_clip(tmp_path / f"in.{before}", clip)), tmp_path / f"out.{after}"
    result = restore_video(source, "--output", output)
    assert (result.code, result.status(source.name)) == (0, "done"), result.err
    found = tags_of(output)
    assert found == tags_of(source)
    assert found[0]["title"] == "Ren\udce9\udce8"
    assert before == "avi" or "ARCH\udcc9\udcc8" in found[0]


def test_what_is_said_of_them_can_be_printed(restore: Restore, tmp_path: Path) -> None:
    clip = Clip(times=range(50), attachments={"été.ttf": b"true type" * 50})
    with pytest.raises(OutputError) as error:
        restore(in_old_bytes(make_clip(tmp_path / "in.mkv", clip)), tmp_path / "out.mp4")
    assert "attachment stream 1 (��t��.ttf)" in str(error.value)
    source = make_clip(tmp_path / "stream.mkv", Clip(times=range(50)))
    source.write_bytes(source.read_bytes().replace(b"DURATION", b"ARCHIV\xe9\xe8"))
    made = restore(source, tmp_path / "out.mp4")
    assert made.notes == ("the container does not keep the tags ARCHIV�� of stream 0",)


def test_the_page_plays_films_with_them(tmp_path: Path) -> None:
    film = in_old_bytes(make_clip(tmp_path / "in.mkv", CLIP))
    assert media_type(film) is None
    assert write_playable(film, lambda: False)
    assert media_type(tmp_path / "playable.mp4") == "video/mp4"
