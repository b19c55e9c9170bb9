"""The page's one connection: what it carries, with which token, and for whom."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from playwright.async_api import WebSocket, expect

from tests.browser.conftest import OpenPage
from tests.gateway.access.wired import ADMIN, start_guarded
from tests.support.credentials import token
from tests.support.gateways import Gateway, gateways_on, new_event
from tests.turnwire.relay import Relay
from turnwire import Publisher

REFUSED = ("401", "WebSocket connection to")


async def test_all_live_data_of_the_page_comes_on_one_socket(gateway: Gateway, open_page: OpenPage) -> None:
    for name in ("call-1", "call-2"):
        await gateway.create(name)
        await gateway.post(f"/sessions/{name}/events", new_event("e1", {"text": f"Here is {name}"}), status=201)
    sockets: list[WebSocket] = []
    page = await open_page(f"{gateway.url}/docs")

    def note(socket: WebSocket) -> None:
        sockets.append(socket)

    page.on("websocket", note)
    await page.goto(f"{gateway.url}/#/s/call-1")
    await expect(page.locator(".bubble")).to_contain_text("Here is call-1")
    await page.get_by_role("link", name="Back to the calls").click()
    await expect(page.locator(".call-row")).to_have_count(2)
    await page.evaluate("location.hash = '#/compare?a=call-1&b=call-2'")
    await expect(page.locator(".bubble")).to_have_count(2)
    for name in ("call-1", "call-2"):
        await gateway.post(f"/sessions/{name}/events", new_event("e2", {"text": "More"}), status=201)
    await expect(page.locator(".bubble")).to_have_count(4)
    assert len(sockets) == 1


async def test_a_page_opened_in_the_middle_of_an_utterance_shows_its_interim_text(
    gateway: Gateway, open_page: OpenPage
) -> None:
    async with Publisher(gateway.url, "call-1") as call:
        await call.send("bot_speech", {"text": "Hello?"})
        await call.flush(timeout=20)
        await call.signal("user_speech", {"text": "I would", "final": False})
        await expect_signal(gateway)
        page = await open_page(f"{gateway.url}/#/s/call-1")
        await expect(page.locator(".user .bubble.interim")).to_contain_text("I would")


async def expect_signal(gateway: Gateway) -> None:
    """Wait until the gateway has the interim text, so that the page comes after it."""
    async with asyncio.timeout(20):
        while gateway.live["call-1"].state.interims is None:
            await asyncio.sleep(0.01)


async def test_an_interim_text_from_before_a_lost_connection_is_not_shown_for_ever(
    gateway: Gateway, open_page: OpenPage
) -> None:
    async with Relay(gateway.port) as relay, Publisher(gateway.url, "call-1") as call:
        await call.send("bot_speech", {"text": "Hello?"})
        page = await open_page(f"{relay.url}/#/s/call-1", allowed=("WebSocket connection to", "net::ERR_"))
        await expect(page.locator(".bubble")).to_contain_text("Hello?")
        await call.signal("user_speech", {"text": "I would", "final": False})
        await expect(page.locator(".bubble.interim")).to_contain_text("I would")
        relay.refusing = True
        relay.cut()
        await expect(page.locator(".bubble.interim")).to_have_count(0)
        await call.send("user_speech", {"text": "I would not."})
        await call.flush(timeout=20)
        relay.refusing = False
        await expect(page.locator(".bubble").last).to_contain_text("I would not.")
        await page.close()


async def test_a_page_whose_token_expires_asks_for_another_one(
    database_uri: str, database_name: str, open_page: OpenPage, tmp_path: Path
) -> None:
    async with gateways_on(database_uri, database_name) as start:
        gateway = await start_guarded(start, tmp_path, ping_interval=0.4)
        await gateway.create("call-1")
        page = await open_page(gateway.url, allowed=REFUSED)
        login = page.get_by_role("heading", name="Log in to this gateway")
        await expect(login).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
        short = token(scope="session:read session:list", sessions=["*"], exp=int(time.time() + 4))
        await page.get_by_label("Token").fill(short)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".connection")).to_have_text("LIVE")
        await expect(page.locator(".call-row")).to_have_count(1)
        await expect(login).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("has expired")
        await page.get_by_label("Token").fill(ADMIN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".call-row")).to_have_count(1)
        await expect(page.locator(".connection")).to_have_text("LIVE")
        await page.close()  # before the gateway, which would miss it otherwise
