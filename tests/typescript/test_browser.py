"""The TypeScript client in a real browser, on a page of another origin than the gateway's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import devtools
from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay
from tests.typescript.node import bundled

__all__ = ["devtools"]

_PAGE = "<!doctype html><title>Calls</title><link rel=icon href=data:,>"


@pytest.fixture
async def browser(devtools: str) -> AsyncIterator[Browser]:
    """The browser, with a driver on the loop of the test, on which its gateway is."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(devtools)
        yield browser
        await browser.close()


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[str]:
    """The origin of an empty page, with the client beside it."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_static("/client", bundled(tmp_path).parent)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def page_at(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.goto(url)
    return page


async def run(page: Page, code: str, **values: Any) -> Any:
    """Return what the body of an async function returns, which has the client's names and these values."""
    client = "const { Client, Publisher, subscribe } = await import('/client/turnwire.js');"
    return await page.evaluate(f"async ({{ {', '.join(values)} }}) => {{ {client} {code} }}", values)


async def test_a_page_publishes_and_follows_a_call_across_broken_connections(
    start_gateway: StartGateway, origin: str, browser: Browser
) -> None:
    gateway: Gateway = await start_gateway(allowed_origins=origin)
    async with Relay(gateway.port) as relay:
        page = await page_at(browser, origin)
        await page.expose_function("cut", relay.cut)
        code = """
            const pause = () => new Promise((done) => setTimeout(done, 5));
            const until = async (condition) => { while (!condition()) await pause(); };
            const call = await Publisher.open(url, 'call', { language: 'en', metadata: { from: 'a page' } });
            const got = [];
            const reading = (async () => {
              for await (const { seq } of subscribe(url, 'call', { untilEnded: true })) got.push(seq);
            })();
            for (let n = 0; n < 90; n++) {
              await call.send('user_speech', { n });
              if (n % 30 === 20) {
                await until(() => got.length);
                await cut();
                await until(() => !call.connected);
              }
            }
            const ended = await call.complete({ reason: 'hangup' });
            await call.close();
            await reading;
            return { got, ended: [ended.status, ended.lastSeq, ended.metadata.from] };
        """
        result = await run(page, code, url=relay.url)
    assert result == {"got": list(range(1, 91)), "ended": ["completed", 90, "a page"]}


async def test_a_page_learns_why_its_connection_is_refused(
    start_gateway: StartGateway, origin: str, browser: Browser
) -> None:
    gateway: Gateway = await start_gateway(allowed_origins=origin)
    page = await page_at(browser, origin)
    code = "try { await Publisher.open(url, 'nobody', { language: null }); } catch (error) { return error.message; }"
    assert await run(page, code, url=gateway.url) == "Session nobody not found"
