"""Who may see the page: a file of names and bcrypt hashes, in the format of Apache's htpasswd."""

from __future__ import annotations

import os
from pathlib import Path

from restore.errors import InputError, OutputError, UsageError
from restore.files import write_atomically

_HASHES = ("$2a$", "$2b$", "$2y$")
MAX_PASSWORD_BYTES = 72
"""What bcrypt sees of one."""
MIN_PASSWORD = 8


class Passwords:
    """Users and their hashes.

    Raises:
        InputError: the file can't be read, holds nobody, or a line that is no user with a bcrypt hash.
    """

    def __init__(self, path: Path) -> None:
        import bcrypt

        self._hashes = read(path)
        if not self._hashes:
            raise InputError(f"{path} holds no user", f"restore serve --auth {path} --add-user NAME adds one")
        # For names that nobody has: else the time that the answer takes would tell which names there are.
        self._nobody = bcrypt.hashpw(b"", bcrypt.gensalt())

    def match(self, user: str, password: str) -> bool:
        """Whether this is the user's password. Takes a fifth of a second, on purpose."""
        import bcrypt

        known = self._hashes.get(user)
        secret = password.encode()
        right = len(secret) <= MAX_PASSWORD_BYTES and bcrypt.checkpw(secret, known or self._nobody)
        return right and known is not None


def read(path: Path) -> dict[str, bytes]:
    """Hashes by user.

    Raises:
        InputError: as for `Passwords`, but for a file that holds nobody.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(
            f"--auth {path} does not exist", f"restore serve --auth {path} --add-user NAME makes it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--auth {path} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from error
    hashes: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, digest = line.strip().partition(":")
        if not user or not digest.startswith(_HASHES) or len(digest) != 60:
            raise InputError(
                f"line {number} of {path} is no user with a bcrypt hash",
                f"restore serve --auth {path} --add-user NAME, or htpasswd -B, makes such lines",
            )
        hashes[user] = digest.encode()
    return hashes


def add_user(path: Path, user: str, password: str) -> None:
    """Put a user into the file, which nobody else may read, or give one another password.

    Raises:
        UsageError: the name or the password can't be used.
        InputError: the file is there, and is none of this kind.
        OutputError: it can't be written.
    """
    import bcrypt

    if not user or ":" in user or user.startswith("#") or not user.isprintable() or user != user.strip():
        raise UsageError(f"{user!r} can't be a user's name", "Leave out colons, and spaces at its ends")
    secret = password.encode()
    if len(password) < MIN_PASSWORD or len(secret) > MAX_PASSWORD_BYTES:
        raise UsageError(
            "the password is too short or too long",
            f"Take {MIN_PASSWORD} letters or more, and {MAX_PASSWORD_BYTES} at most",
        )
    hashes = read(path) if path.exists() else {}
    hashes[user] = bcrypt.hashpw(secret, bcrypt.gensalt())
    text = "".join(f"{name}:{digest.decode()}\n" for name, digest in hashes.items())
    before = os.umask(0o077)
    try:
        write_atomically(path, lambda stream: stream.write(text.encode()))
    except OutputError as error:
        raise OutputError(error.message, "Choose another place with --auth") from error
    finally:
        os.umask(before)
