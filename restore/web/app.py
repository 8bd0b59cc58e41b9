"""The page's addresses: what a browser may ask for, and what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import html
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from restore.errors import RestoreError, UsageError
from restore.memory import give_memory_back
from restore.progress import say
from restore.web.archive import named_apart, zip_of
from restore.web.desk import Desk
from restore.web.films import playable
from restore.web.guard import Guard, give_cookie
from restore.web.items import Item, Settings
from restore.web.lanes import Full
from restore.web.passwords import Passwords
from restore.web.shown import page_facts, shown
from restore.web.uploads import receive
from restore.web.views import small_of
from restore.web.workspace import Session, Workspace

_STATIC = Path(__file__).parent / "static"
_LOOK_SECONDS = 30.0
_HOLD_SECONDS, _NEWS_SECONDS = 0.5, 0.005
_WRONG_SECONDS = 1.0
_DRAWING = 8  # requests that wait for pictures to be made; more would take the threads from those that are quick
_MOST_LOGIN_BYTES = 4096
_GONE = "This is no longer here. Reload the page."
_BUSY = "So much is waiting already that no more is taken. Try again in a minute."


def create_app(
    desk: Desk, workspace: Workspace, passwords: Passwords | None, on_start: Callable[[], None]
) -> Starlette:
    """The ASGI application.

    Args:
        passwords: who may log in; None where nobody has to.
        on_start: called when it is ready.
    """
    page = _Page(desk, workspace, passwords)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tidying = asyncio.create_task(page.tidy())
        on_start()
        yield
        tidying.cancel()

    item = "/api/items/{id}"
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/login", page.login_form, methods=["GET"]),
            Route("/login", page.login, methods=["POST"]),
            Route("/api/state", page.state),
            Route("/api/files", page.upload, methods=["POST"]),
            Route("/api/forget", page.forget, methods=["POST"]),
            Route("/api/all.zip", page.download_all),
            Route(item, page.drop, methods=["DELETE"]),
            Route(f"{item}/work", page.work, methods=["POST"]),
            Route(f"{item}/cancel", page.cancel, methods=["POST"]),
            Route(f"{item}/view", page.view),
            Route(f"{item}/choices", page.choices, methods=["POST"]),
            Route(item + "/choice-{number:int}.jpg", page.choice),
            Route(f"{item}/stills", page.stills),
            Route(f"{item}/play", page.play),
            Route(f"{item}/download", page.download),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Guard, options=desk.options, workspace=workspace)],
        exception_handlers={
            HTTPException: _told,
            RestoreError: _told,
            ClientDisconnect: _nobody,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


class _Page:
    """The handlers, and what they share."""

    def __init__(self, desk: Desk, workspace: Workspace, passwords: Passwords | None) -> None:
        self._desk = desk
        self._workspace = workspace
        self._passwords = passwords
        self._login_turn = asyncio.Lock()
        self._drawing = CapacityLimiter(_DRAWING)

    async def tidy(self) -> None:
        """Forget old sessions, and give back the memory that views of photos took, now and then."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await run_in_threadpool(self._workspace.end_old, time.monotonic())
            await run_in_threadpool(give_memory_back)

    async def index(self, request: Request) -> Response:
        response = FileResponse(_STATIC / "index.html")
        give_cookie(response, _session(request), request.scope)
        return response

    async def login_form(self, request: Request) -> Response:
        return _login_page("") if self._passwords else RedirectResponse("/", 303)

    async def login(self, request: Request) -> Response:
        if self._passwords is None:
            raise HTTPException(404)
        fields = parse_qs((await _small_body(request)).decode(errors="replace"), keep_blank_values=True)
        user, password = (fields.get(name, [""])[0] for name in ("user", "password"))
        async with self._login_turn:  # one at a time, and slower after a wrong one: guessing is not worth while
            right = await run_in_threadpool(self._passwords.match, user, password)
            if not right:
                await asyncio.sleep(_WRONG_SECONDS)
        if not right:
            return _login_page("This name and password do not fit together.", 401)
        session = self._workspace.begin(user)
        if session is None:
            return _login_page("Too many people use this page already. Try again later.", 503)
        response = RedirectResponse("/", 303)
        give_cookie(response, session, request.scope)
        return response

    async def state(self, request: Request) -> Response:
        session, seen = _session(request), request.query_params.get("seen")
        until = time.monotonic() + (_HOLD_SECONDS if session.is_busy else 0)
        while seen == str(self._desk.changes):  # while work goes on, the answer waits for news
            if time.monotonic() >= until:
                return Response(status_code=204)
            await asyncio.sleep(_NEWS_SECONDS)
        changes = self._desk.changes
        places = self._desk.photos.places() | self._desk.films.places()
        items = [shown(item, places.get(item.id), self._desk) for item in [*session.items.values()]]
        return JSONResponse({"changes": changes, "items": items} | page_facts(self._desk, session))

    async def upload(self, request: Request) -> Response:
        session = _session(request)
        item = await receive(request, session, self._desk)
        try:
            await run_in_threadpool(self._ask, item, "stills" if item.kind == "film" else "colour", item.settings)
        except HTTPException:  # the page sends it again
            session.items.pop(item.id, None)
            await run_in_threadpool(item.drop)
            raise
        return JSONResponse({"id": item.id}, 201)

    async def work(self, request: Request) -> Response:
        item, body = _item(request), await _json(request)
        settings = Settings.from_json(body.get("settings"))
        task = body.get("task")
        if task not in (("colour",) if item.kind == "photo" else ("colour", "stills")):
            raise UsageError("this can't be done with it", "Reload the page")
        if item.kind == "film" and item.state == "working":
            raise HTTPException(409, f"{item.name} is being worked on. Cancel that first.")
        await run_in_threadpool(self._ask, item, task, settings)
        return Response(status_code=202)

    def _ask(self, item: Item, task: Any, settings: Settings) -> None:
        try:
            self._desk.ask(item, task, settings)
        except Full:
            raise HTTPException(429, _BUSY) from None

    async def cancel(self, request: Request) -> Response:
        await run_in_threadpool(self._desk.cancel, _item(request))
        return Response(status_code=202)

    async def drop(self, request: Request) -> Response:
        item = _item(request)
        _session(request).items.pop(item.id, None)
        await run_in_threadpool(self._desk.drop, item)
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        session = _session(request)
        for item in session.items.values():
            self._desk.lane(item).take_out(item)
        await run_in_threadpool(self._workspace.end, session)
        self._desk.tell_change()
        return Response(status_code=204)

    async def view(self, request: Request) -> Response:
        item, of, asked = _item(request), request.query_params.get("of"), request.query_params.get("n", "")
        if item.kind == "film":
            raise HTTPException(404)
        number = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
        if (of == "before") != (number == 0):
            raise HTTPException(404)
        make = self._desk.doubt_view if of == "doubt" else self._desk.view
        path = await to_thread.run_sync(make, item, number, limiter=self._drawing) or _gone()
        return await _picture(small_of(path) if "small" in request.query_params else path, "image/jpeg")

    async def choices(self, request: Request) -> Response:
        item, body = _item(request), await _json(request)
        if item.kind == "film":
            raise HTTPException(404)
        settings = Settings.from_json(body.get("settings"))
        return JSONResponse(await to_thread.run_sync(self._desk.choices, item, settings, limiter=self._drawing))

    async def choice(self, request: Request) -> Response:
        return await _picture(_item(request).folder / f"choice-{request.path_params['number']}.jpg", "image/jpeg")

    async def stills(self, request: Request) -> Response:
        return await _picture((_item(request).stills or _gone()).path, "image/png")

    async def play(self, request: Request) -> Response:
        return _file(*await run_in_threadpool(playable, (_item(request).result or _gone()).path))

    async def download(self, request: Request) -> Response:
        item = _item(request)
        return _file((item.result or _gone()).path, "application/octet-stream", item.download_name)

    async def download_all(self, request: Request) -> Response:
        items = [item for item in _session(request).items.values() if item.result]
        if not items:
            _gone()
        # Looked up one by one: until a photo's turn comes, it may have another result, or be removed.
        files = named_apart((item.download_name, item.result.path) for item in items if item.result)
        headers = {"content-disposition": 'attachment; filename="restored.zip"'}
        return StreamingResponse(zip_of(files), media_type="application/zip", headers=headers)


def _session(request: Request) -> Session:
    session: Session = request.scope["session"]
    return session


def _item(request: Request) -> Item:
    return _session(request).items.get(request.path_params["id"]) or _gone()


def _gone() -> Any:
    raise HTTPException(404, _GONE)


def _file(path: Path, media_type: str, filename: str | None = None) -> Response:
    """A file as it is, to be played or, by a name, as a download. Browsers keep no copy: see `Guard`."""
    if not path.exists():
        _gone()
    return FileResponse(path, media_type=media_type, filename=filename)


async def _picture(path: Path, media_type: str) -> Response:
    """A small file, read at once: work that goes on may remove it at any time."""
    try:
        return Response(await run_in_threadpool(path.read_bytes), media_type=media_type)
    except FileNotFoundError:
        return _gone()


async def _small_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_LOGIN_BYTES:
            raise HTTPException(413, "That is too long.")
    return body


async def _json(request: Request) -> dict[str, Any]:
    import json

    try:
        body = json.loads(await _small_body(request))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "This is not what the page sends. Reload it.")
    return body


def _login_page(message: str, status: int = 200) -> Response:
    text = (_STATIC / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("<!-- message -->", html.escape(message)), status)


async def _told(request: Request, error: Exception) -> Response:
    """Errors that a visitor can cause, in one line."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    if "id" in request.path_params:
        item = _session(request).items.get(request.path_params["id"])
        return JSONResponse({"error": item.told_of(str(error)) if item else _GONE}, 400)
    return JSONResponse({"error": str(error)}, 400)


async def _nobody(request: Request, error: Exception) -> Response:
    """The answer to a visitor who is gone: an upload was broken off."""
    return Response(status_code=400)


async def _unexpected(request: Request, error: Exception) -> Response:
    say(f"restore: error: unexpected {type(error).__name__}: {error}. Please report it", error=True)
    return JSONResponse({"error": "Something went wrong on the server, by a fault of the program."}, 500)
