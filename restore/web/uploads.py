"""Taking in a file: its size and kind are looked at before it is kept, and its name never becomes a path."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from restore.photos.containers import NAMES, SNIFF_BYTES, claims_picture, sniffs_as_picture
from restore.video.films import claims_film
from restore.web.desk import Desk
from restore.web.items import Item, Kind, Settings, shown_name
from restore.web.workspace import Session

MOST_ITEMS = 500
"""Of a session."""
_KEPT_FREE = 1 << 30  # bytes of disk
_CHUNK = 1 << 20


async def receive(request: Request, session: Session, desk: Desk) -> Item:
    """Store the file in a request's body, and put it into the session.

    Raises:
        HTTPException: it is too large, empty, neither photo nor film, or there is no room for it.
    """
    name = shown_name(request.query_params.get("name", ""))
    _check_room(request, session, name, desk)
    folder = session.folder / secrets.token_hex(8)
    try:
        folder.mkdir(mode=0o700)
        part = folder / "part"
        with part.open("wb") as stream:
            size = await _store(request, stream, desk.options.max_upload, name, folder)
        with part.open("rb") as stream:
            kind = _kind(name, stream.read(SNIFF_BYTES))
        source = part.rename(folder / f"original{PurePosixPath(name).suffix.lower()}")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise HTTPException(507, f"{name} could not be stored: {error.strerror}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    item = Item(kind, name, folder, source, size, Settings())
    session.items[item.id] = item
    return item


def _check_room(request: Request, session: Session, name: str, desk: Desk) -> None:
    size = int(request.headers.get("content-length") or 0)
    _check_size(size, desk.options.max_upload, name)
    if len(session.items) >= MOST_ITEMS:
        raise HTTPException(409, f"This page holds {MOST_ITEMS} files already. Remove some first.")
    _check_disk(session.folder, size, name)


def _check_disk(folder: Path, size: int, name: str) -> None:
    if shutil.disk_usage(folder).free - size < _KEPT_FREE:
        raise HTTPException(507, f"The disk of the computer that runs this page is too full for {name}.")


def _check_size(size: int, most: int, name: str) -> None:
    if size > most * 1_000_000:
        raise HTTPException(413, f"{name} is larger than {most:,} MB, the most that this page takes.")


async def _store(request: Request, stream: BinaryIO, most: int, name: str, folder: Path) -> int:
    size, waiting = 0, bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        _check_size(size, most, name)
        waiting += chunk
        if len(waiting) >= _CHUNK:
            _check_disk(folder, 0, name)  # others may be sending, too, and not all tell how much
            await run_in_threadpool(stream.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(stream.write, bytes(waiting))
    if not size:
        raise HTTPException(415, f"{name} is empty.")
    return size


def _kind(name: str, start: bytes) -> Kind:
    if claims_film(name):
        return "film"
    if claims_picture(name) or sniffs_as_picture(start):
        return "photo"
    raise HTTPException(
        415, f"{name} is neither a photo nor a film. Photos are {NAMES} files; films are MP4, MOV, AVI …"
    )
