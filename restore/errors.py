"""Errors a user can cause, each with the exit code it ends the command line with.

Library code raises these; only `restore.cli` turns them into an exit. docs/errors.md lists them: they are a contract.
"""

from __future__ import annotations

from typing import ClassVar


class RestoreError(Exception):
    """Something went wrong that the user can understand and mend.

    Args:
        message: one line that names the file or option and says what is wrong.
        hint: what to do next, or "" where the message says it already.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UsageError(RestoreError):
    """An option or argument that makes no sense."""

    exit_code = 2


class InputError(RestoreError):
    """A file or folder that can't be read, or nothing to do in it."""

    exit_code = 3


class OutputError(RestoreError):
    """A place that can't be written to: permissions, full disk, an original in the way."""

    exit_code = 4


class MissingDependencyError(RestoreError):
    """An option that needs an optional package which is not installed."""

    exit_code = 5


class ModelError(RestoreError):
    """A model that is unknown, damaged, foreign or of another architecture."""

    exit_code = 6


class DeviceError(RestoreError):
    """A device that is not there, or has too little memory even for one picture."""

    exit_code = 7


class SomeFilesFailedError(RestoreError):
    """The run finished, but not every file could be done."""

    exit_code = 8


class CheckError(RestoreError):
    """A result is not what it should be, and did not get its name."""

    exit_code = 9


INTERRUPTED_EXIT_CODE = 130
TERMINATED_EXIT_CODE = 143


class Terminated(BaseException):
    """SIGTERM arrived. A BaseException, like KeyboardInterrupt, so that no `except Exception` swallows it."""
