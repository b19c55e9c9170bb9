"""A real browser, and a page that fails its test on a console error or a request to another host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from tests.support.gateways import Gateway, gateways_on
from tests.support.processes import wait_until

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-first-run",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--in-process-gpu",
    # Each new window would load pages for its address bar, and keep a process in reserve: half of the browser's work.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,SpareRendererForSitePerProcess",
)
expect.set_options(timeout=20_000)

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 400, "height": 800}
NARROWEST = {"width": 360, "height": 740}

OpenPage = Callable[..., Awaitable[Page]]


def find_chromium() -> str:
    """Return the path of a chromium. Raises AssertionError that says what to do if there is none."""
    path = os.environ.get("TURNWIRE_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert path, "these tests need chromium: install Debian's package, or name one in TURNWIRE_CHROMIUM"
    return path


@pytest.fixture(scope="session")
def devtools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a chromium that lives as long as the run. Each page gets its own profile in it."""
    folder = tmp_path_factory.mktemp("chromium")
    command = [find_chromium(), *_FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    port = folder / "DevToolsActivePort"
    try:
        wait_until(lambda: port.exists() and "\n" in port.read_text(), "the address of chromium's DevTools", 30)
        yield f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pytest_collectstart(collector: pytest.Collector) -> None:
    """All tests of this folder run on one loop, that of the browser's driver, which takes long to start."""
    if isinstance(collector, pytest.Module):
        collector.add_marker(pytest.mark.asyncio(loop_scope="session"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(devtools: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(devtools)
        yield browser
        await browser.close()


class _Watch:
    """What a page must not do."""

    def __init__(self, origin: str, allowed: tuple[str, ...]) -> None:
        self.faults: list[str] = []
        self._origin = origin
        self._allowed = allowed

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self._allowed):
            self.faults.append(f"console: {message.text}")

    def error(self, error: Any) -> None:
        self.faults.append(f"uncaught: {error}")

    def request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.netloc != self._origin:
            self.faults.append(f"request to {request.url}")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(database_uri: str, database_name: str) -> AsyncIterator[Gateway]:
    """A gateway with the default settings."""
    async with gateways_on(database_uri, database_name) as start:
        yield await start()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    async with pages_in(browser) as open_page:
        yield open_page


@asynccontextmanager
async def pages_in(browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens an address in a new page. `allowed`: parts of expected console errors. `fake_clock` gives the page a clock
    that a test can move. Further arguments are those of a browser context.
    """
    watches: list[_Watch] = []
    contexts: list[BrowserContext] = []

    async def open_one(
        url: str,
        *,
        size: dict[str, int] | None = None,
        scheme: str = "light",
        allowed: tuple[str, ...] = (),
        fake_clock: bool = False,
        **more: Any,
    ) -> Page:
        options = {"viewport": size or WIDE, "color_scheme": scheme, "reduced_motion": "reduce", **more}
        context = await browser.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        watch = _Watch(urlsplit(url).netloc, allowed)
        watches.append(watch)
        page.on("console", watch.console)
        page.on("pageerror", watch.error)
        page.on("request", watch.request)
        if fake_clock:
            await page.clock.install()
        await page.goto(url)
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert [fault for watch in watches for fault in watch.faults] == []
