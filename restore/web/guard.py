"""What every request has to pass: its host, where it came from, and who sent it. And what every answer carries."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restore.options import ServeOptions
from restore.web.workspace import Session, Workspace

_SECURE = {
    # Nothing from elsewhere, nothing inline, and no page around this one.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_NO_STORE = "no-store"
_HERE = ("localhost", "127.0.0.1", "::1")
_OPEN_PATHS = ("/login", "/static/")


class Guard:
    """ASGI middleware.

    Without logins the page is for this computer alone, so its host has to be this computer's: a page from elsewhere
    whose name is made to lead here (DNS rebinding) is refused. With logins it may have any name, as that of a proxy;
    what such a page could do, it could not do without the password.
    """

    def __init__(self, app: ASGIApp, options: ServeOptions, workspace: Workspace) -> None:
        self._app = app
        self._workspace = workspace
        self._has_logins = options.auth is not None
        self._host = options.host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _SECURE.items():
                    answer[name] = value
                answer.setdefault("cache-control", _NO_STORE)
            await send(message)

        refusal = self._refuse(scope, headers)
        if refusal is None:
            session = scope["session"] = self._workspace.find(cookie(headers, scope))
            if session is None and not scope["path"].startswith(_OPEN_PATHS):
                refusal = self._unknown(scope, headers)
        await (refusal or self._app)(scope, receive, send_secured)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        try:
            host, origin = urlsplit(f"//{headers.get('host', '')}"), urlsplit(headers.get("origin", ""))
        except ValueError:
            return PlainTextResponse("This request names no host.", 400)
        if not self._has_logins and host.hostname not in (*_HERE, self._host):
            return PlainTextResponse("This page is for this computer alone. Open it as it was told at its start.", 421)
        if scope["method"] not in ("GET", "HEAD") and origin.netloc != host.netloc:
            return PlainTextResponse(
                "This request did not come from the page itself. A proxy has to hand on the Host header as it is.", 403
            )
        return None

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a visitor without a session; None where one was begun."""
        if self._has_logins:
            if scope["path"] == "/":
                return RedirectResponse("/login", 303)
            return JSONResponse({"error": "Log in first."}, 401)
        if scope["path"] != "/":
            return JSONResponse({"error": "Reload the page: what it showed is no longer here."}, 401)
        session = self._workspace.begin()
        if session is None:
            return PlainTextResponse("Too many people use this page already. Try again later.", 503)
        scope["session"] = session
        return None


def cookie_name(scope: Scope) -> str:
    """One for each port: browsers don't tell the ports of a host apart."""
    return f"restore-{scope['server'][1]}"


def cookie(headers: Headers, scope: Scope) -> str | None:
    """The session's key that a request carries."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(cookie_name(scope))
    except CookieError:
        return None
    return found.value if found else None


def give_cookie(response: Response, session: Session, scope: Scope) -> None:
    """Let the browser keep a session's key, where scripts and other sites don't get at it."""
    is_secure = Headers(scope=scope).get("x-forwarded-proto", scope["scheme"]) == "https"
    response.set_cookie(cookie_name(scope), session.key, httponly=True, samesite="lax", secure=is_secure)
