"""What may be done to a call from its page: commands to its bot, ending it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NARROWEST, WIDE, OpenPage
from tests.browser.test_using_the_page import check_access
from tests.support.gateways import Gateway, new_event
from tests.support.sockets import publisher
from turnwire import Publisher
from turnwire.errors import CommandRefused
from turnwire.protocol.control.messages import CommandPush


def token_for(scope: str, sessions: Sequence[str] = ("*",)) -> str:
    """A token for these scopes and sessions. A gateway without authentication does not look at it."""
    claims = json.dumps({"scope": scope, "sessions": list(sessions)}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.x"


@pytest.mark.parametrize(
    ("scope", "sessions", "pages"),
    [
        ("session:read session:list", ["call-*"], ["Calls", "API"]),
        ("session:read session:list metrics", ["*"], ["Calls", "Boards", "Gateway", "API"]),
    ],
)
async def test_pages_that_the_token_does_not_open_are_not_offered(
    gateway: Gateway, open_page: OpenPage, scope: str, sessions: list[str], pages: list[str]
) -> None:
    page = await open_page(f"{gateway.url}/#token={token_for(scope, sessions)}")
    await expect(page.get_by_label("Pages").get_by_role("link")).to_have_text(pages)


async def test_a_token_that_does_not_list_calls_is_told_that_it_opens_them_by_their_links(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await gateway.create("call-1")
    page = await open_page(f"{gateway.url}/#token={token_for('session:read', ['call-1'])}")
    await expect(page.get_by_role("heading")).to_have_text("This token may not list calls")
    await check_access(page)
    await page.goto(f"{gateway.url}/#/s/call-1")
    await expect(page.get_by_role("heading", name="call-1")).to_be_visible()


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROWEST, "dark")], ids=["1440", "360"])
async def test_a_bot_is_whispered_to_and_ends_its_call_when_asked_from_the_page(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int], scheme: str
) -> None:
    told: list[tuple[str, object]] = []
    async with Publisher(gateway.url, "call-1") as call:

        async def carry_out(command: CommandPush) -> None:
            told.append((command.command, command.payload))
            if command.payload.get("text") == "hang up":
                raise CommandRefused("not yet")
            if command.command == "end":
                await call.complete(reason="supervisor")

        call.on_command(carry_out, "whisper", "end")
        await call.send("bot_speech", {"text": "Hello?"})
        page = await open_page(f"{gateway.url}/#/s/call-1", size=size, scheme=scheme)
        bar = page.get_by_label("Act on the call")
        await bar.get_by_label("Text for the bot").fill("Offer 10 %.")
        await expect(bar.get_by_role("button", name="Say")).to_have_count(0)
        await bar.get_by_label("at once").check()
        await bar.get_by_role("button", name="Whisper").click()
        await expect(bar.get_by_role("status")).to_have_text("Whisper: done")
        await expect(bar.get_by_label("Text for the bot")).to_have_value("")
        await bar.get_by_label("at once").uncheck()
        await bar.get_by_label("Text for the bot").fill("hang up")
        await bar.get_by_label("Text for the bot").press("Enter")
        await expect(bar.get_by_role("status")).to_have_text("Whisper: refused: not yet")
        states = page.locator(".is-command .state")
        await expect(states).to_have_text(["done", "refused: not yet"])
        await check_access(page)
        await bar.get_by_role("button", name="End the call …").click()
        await check_access(page)
        await page.get_by_label("The bot says first").fill("Goodbye.")
        await page.get_by_role("button", name="End the call", exact=True).click()
        await expect(page.locator(".call-head .badge")).to_have_text("completed")
    await expect(states).to_have_text(["done", "refused: not yet", "done"])
    await expect(bar).to_have_count(0)
    hint = {"text": "Offer 10 %.", "respond": True, "interrupt": True}
    assert told == [("whisper", hint), ("whisper", {"text": "hang up"}), ("end", {"say": "Goodbye."})]


async def test_the_page_offers_no_action_that_the_token_does_not_allow(gateway: Gateway, open_page: OpenPage) -> None:
    async def acts(scope: str) -> list[str]:
        page: Page = await open_page(f"{gateway.url}/#token={token_for(scope)}")
        await page.get_by_role("link", name="call-1").click()
        await expect(page.locator(".bubble")).to_have_count(1)
        await expect(page.get_by_role("button", name="Erase the call …")).to_have_count(0)
        return await page.get_by_label("Act on the call").get_by_role("button").all_inner_texts()

    async with Publisher(gateway.url, "call-1") as call:
        call.on_command(lambda command: None)
        await call.send("bot_speech", {"text": "Hello?"})
        assert await acts("session:read session:list") == []
        assert await acts("session:read session:list session:complete") == ["End the call …"]
        assert await acts("session:read session:list session:command") == ["Whisper", "Say", "End the call …"]


async def test_a_command_that_the_bot_no_longer_takes_is_reported_and_not_lost(
    gateway: Gateway, open_page: OpenPage
) -> None:
    async with Publisher(gateway.url, "call-1") as call:
        call.on_command(lambda command: None)
        await call.send("bot_speech", {"text": "Hello?"})
        page = await open_page(f"{gateway.url}/#/s/call-1", allowed=("409",))
        bar = page.get_by_label("Act on the call")
        await bar.get_by_label("Text for the bot").fill("Offer 10 %.")
        refusal = {"status": 409, "content_type": "application/json", "body": '{"message": "no bot accepts say"}'}
        await page.route("**/commands", lambda route: route.fulfill(**refusal))
        await bar.get_by_role("button", name="Say").click()
        await expect(bar.get_by_role("alert")).to_have_text("Say: no bot accepts say")
        await expect(bar.get_by_label("Text for the bot")).to_have_value("Offer 10 %.")


async def test_a_call_is_erased_after_a_question_and_no_page_shows_it_any_more(
    gateway: Gateway, open_page: OpenPage
) -> None:
    bot = await publisher(gateway, "call-1")
    await bot.acked(new_event("e1", {"text": "Hello?"}))
    watching = await open_page(f"{gateway.url}/#/s/call-1")
    await expect(watching.locator(".bubble")).to_have_text(re.compile("Hello"))
    page = await open_page(
        f"{gateway.url}/#token={token_for('session:read session:list session:delete')}", allowed=("409",)
    )
    await page.get_by_role("link", name="call-1").click()
    await page.get_by_role("button", name="Erase the call …").click()
    await page.get_by_role("button", name="Keep it").click()
    await page.get_by_role("button", name="Erase the call …").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Erase call-1 with all that was said")
    erase = page.get_by_role("button", name="Erase the call", exact=True)
    await erase.click()
    await expect(page.get_by_role("alert")).to_have_text("Its bot is connected.")
    await check_access(page)
    await page.get_by_label("Cut off its bot").check()
    await erase.click()
    await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    await expect(watching.get_by_text("There is no call with this id yet.")).to_be_visible()
    await expect(watching.locator(".bubble, .figures")).to_have_count(0)
    await gateway.refused("GET", "/sessions/call-1", 404)
