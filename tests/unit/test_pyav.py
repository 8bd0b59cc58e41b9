"""What PyAV's versions do differently."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path

import av
import pytest

import restore
from restore.video.pyav import fraction, readable

ROOT = Path(restore.__file__).parent


def test_unset_ratios_are_none() -> None:
    assert fraction(None) is None
    for codec in ("libx264", "aac"):
        assert fraction(av.CodecContext.create(codec, "w").time_base) is None


def test_ratios_become_fractions() -> None:
    context = av.CodecContext.create("libx264", "w")
    context.time_base = Fraction(1001, 30000)
    found = fraction(context.time_base)
    assert type(found) is Fraction
    assert found == Fraction(1001, 30000)


@pytest.mark.parametrize(
    ("tag", "due"), [("René", "René"), ("Ren\udce9", "Ren�"), (b"\xff\xfe".decode("utf-8", "surrogateescape"), "��")]
)
def test_tags_can_be_read_by_people(tag: str, due: str) -> None:
    assert readable(tag) == due
    readable(tag).encode()


def test_files_are_opened_in_one_place() -> None:
    """`av.open` by itself ends at a tag that is no UTF-8, in PyAV 18."""
    calls = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "av.open"
    }
    assert calls == {"video/pyav.py"}
