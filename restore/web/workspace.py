"""Where uploads and results lie: a private folder for each session, in one that ends with the server."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from restore.web.items import Item

_PREFIX = "restore-serve-"
_LOCK = "lock"
# A server that is just beginning has made its folder, and not locked it yet.
_SETTLED_SECONDS = 10.0
SESSION_SECONDS = 60 * 60
"""How long uploads and results stay after the last sign of the page that they belong to."""
MAX_SESSIONS = 64


@dataclass(eq=False)
class Session:
    """A visitor's browser: what it uploaded, and what came of it.

    Args:
        key: the secret in its cookie.
        user: who logged in; "" where nobody has to.
        items: by their id, in the order in which they came.
        seen: when it was heard of last, by `time.monotonic`.
    """

    key: str
    folder: Path
    user: str = ""
    items: dict[str, Item] = field(default_factory=dict)
    seen: float = field(default_factory=time.monotonic)

    @property
    def is_busy(self) -> bool:
        return any(item.state in ("waiting", "working") for item in [*self.items.values()])


class Workspace:
    """The sessions of a server, and their folders. Nobody but this user may look into them."""

    def __init__(self) -> None:
        remove_stale(Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # of mode 0700
        self._lock = FileLock(self.folder / _LOCK)  # the system lets go of it when this process ends, however it ends
        self._lock.acquire(blocking=False)
        self._sessions: dict[str, Session] = {}
        self._guard = threading.Lock()

    def begin(self, user: str = "") -> Session | None:
        """A new session; None where there are too many already."""
        with self._guard:
            if len(self._sessions) >= MAX_SESSIONS:
                unused = [session for session in self._sessions.values() if not session.items]
                if not unused:
                    return None
                self._remove(min(unused, key=lambda session: session.seen))
            session = Session(secrets.token_urlsafe(32), self.folder / secrets.token_hex(8), user)
            session.folder.mkdir(mode=0o700)
            self._sessions[session.key] = session
            return session

    def find(self, key: str | None) -> Session | None:
        """The session of a cookie, which is marked as seen."""
        session = self._sessions.get(key or "")
        if session is not None:
            session.seen = time.monotonic()
        return session

    def end(self, session: Session) -> None:
        """Forget a session and all that it has."""
        with self._guard:
            self._remove(session)

    def end_old(self, now: float) -> None:
        """Forget the sessions that nobody has asked for, and that have no work going on."""
        with self._guard:
            for session in [*self._sessions.values()]:
                if now - session.seen > SESSION_SECONDS and not session.is_busy:
                    self._remove(session)

    def _remove(self, session: Session) -> None:
        self._sessions.pop(session.key, None)
        for item in [*session.items.values()]:  # an upload may end meanwhile
            item.drop()
        shutil.rmtree(session.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_stale(parent: Path) -> None:
    """Remove what killed servers of this user left behind."""
    for folder in _own_folders(parent):
        lock = FileLock(folder / _LOCK)
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)


def _own_folders(parent: Path) -> Iterator[Path]:
    try:
        entries = [entry for entry in os.scandir(parent) if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            stat = entry.stat(follow_symlinks=False)
            is_own = entry.is_dir(follow_symlinks=False) and (not hasattr(os, "getuid") or stat.st_uid == os.getuid())
            if is_own and time.time() - stat.st_mtime > _SETTLED_SECONDS:
                yield Path(entry.path)
