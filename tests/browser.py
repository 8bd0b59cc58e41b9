"""A real browser for the tests of pages: fixtures `browser` and `visit`, which `tests/conftest.py` hands on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing that is asked for by the browser itself: tests count what the page asks for.
_ARGUMENTS = (
    "--no-sandbox",  # root, in a container, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """A page that is open, and what it did wrong.

    Args:
        errors: console errors and exceptions that nobody caught.
        requests: the address of each request, but for data: and blob:, which go nowhere.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Whom the page asked for something: "" is this machine's disk."""
        return {urlsplit(address).hostname or "" for address in self.requests}


Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless chromium; the test is skipped where there is none, or no playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as library:
        opened = library.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Open an address in a context of its own; keywords are those of `Browser.new_context` (`viewport` …).

    The test fails at its end where a page had console errors or exceptions, unless it has emptied `errors`.
    """
    visits: list[Visit] = []

    def open_page(address: str, **context: Any) -> Visit:
        visit = Visit(browser.new_context(**context).new_page())
        visits.append(visit)
        page = visit.page
        page.on(
            "console",
            lambda message: (
                visit.errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("data:", "blob:")) else visit.requests.append(request.url),
        )
        page.goto(address)
        return visit

    yield open_page
    for visit in visits:
        visit.page.context.close()
    errors = [error for visit in visits for error in visit.errors]
    assert not errors, errors
