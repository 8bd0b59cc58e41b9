"""Starting the page, and ending it."""

from __future__ import annotations

import os
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from ipaddress import ip_address

import uvicorn

from restore.errors import Terminated, UsageError
from restore.options import ServeOptions
from restore.progress import say
from restore.web.app import create_app
from restore.web.desk import Desk
from restore.web.passwords import Passwords
from restore.web.workspace import Workspace

_ANSWERS_SECONDS, _WORK_SECONDS = 1, 2.0
_MOST_CONNECTIONS = 200


@dataclass(frozen=True)
class Ending:
    """How the page ended.

    Args:
        signal: what was received, as the exception that it would have been.
        work_ended: no thread is in the middle of a photo or a film.
    """

    signal: BaseException
    work_ended: bool


def serve(options: ServeOptions) -> Ending:
    """Show the page until a signal ends it.

    Raises:
        UsageError: the address can't be listened at.
        InputError: of --auth.
        ModelError, DeviceError: the model or the device can't be had.
    """
    passwords = Passwords(options.auth) if options.auth else None
    listener = _listen(options)
    address = _address(options, listener)
    desk = Desk(options)
    workspace = Workspace()
    app = create_app(desk, workspace, passwords, lambda: _tell(options, address))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_ANSWERS_SECONDS,
        lifespan="on",
        ws="none",
    )
    signal: BaseException = KeyboardInterrupt()
    work_ended = False
    try:
        uvicorn.Server(config).run(sockets=[listener])  # it ends well first, and then lets the signal act
    except (KeyboardInterrupt, Terminated) as received:
        signal = received
    finally:
        try:
            work_ended = desk.close(_WORK_SECONDS)
        finally:
            workspace.close()
    return Ending(signal, work_ended)


def _listen(options: ServeOptions) -> socket.socket:
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        listener = socket.create_server(place[:2], family=family)
        # Else each answer waits 40 ms for a sign that its head has come. asyncio does this for its own sockets only.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise UsageError(f"--host {options.host} is no address of this computer", "Leave it out") from error
        raise UsageError(
            f"the page can't be at {options.host}, port {options.port}: {error.strerror}", "Give another --port"
        ) from error


def _address(options: ServeOptions, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = options.host
    if ":" in host:
        host = "[::1]" if ip_address(host).is_unspecified else f"[{host}]"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"


def _tell(options: ServeOptions, address: str) -> None:
    say(f"The page is at {address}  (Ctrl-C ends it)")
    if not options.is_private:
        say("Other computers reach it without encryption: put a proxy with TLS before it, see docs/web.md")
    if options.open:
        # In a thread, as some browsers keep their caller waiting.
        threading.Thread(target=_open, args=(address,), daemon=True).start()


def _open(address: str) -> None:
    has_display = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display or not webbrowser.open(address):
        say(f"No browser could be opened here: open {address} yourself", error=True)
