"""What may be done to a call from its page: commands to its bot, ending it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NARROWEST, WIDE, OpenPage
from tests.browser.test_using_the_page import check_access
from tests.support.gateways import Gateway
from turnwire import Publisher
from turnwire.errors import CommandRefused
from turnwire.protocol.control.messages import CommandPush


def token_for(scope: str, sessions: Sequence[str] = ("*",)) -> str:
    """A token for these scopes and sessions. A gateway without authentication does not look at it."""
    claims = json.dumps({"scope": scope, "sessions": list(sessions)}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.x"


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
        await page.get_by_label("It says first").fill("Goodbye.")
        await page.get_by_role("button", name="End the call", exact=True).click()
        await expect(page.locator(".call-head .badge")).to_have_text("completed")
    await expect(states).to_have_text(["done", "refused: not yet", "done"])
    await expect(bar).to_have_count(0)
    hint = {"text": "Offer 10 %.", "respond": True, "interrupt": True}
    assert told == [("whisper", hint), ("whisper", {"text": "hang up"}), ("end", {"say": "Goodbye."})]


async def test_what_the_token_may_not_do_is_not_offered(gateway: Gateway, open_page: OpenPage) -> None:
    async def acts(scope: str) -> list[str]:
        page: Page = await open_page(f"{gateway.url}/#token={token_for(scope)}")
        await page.get_by_role("link", name="call-1").click()
        await expect(page.locator(".bubble")).to_have_count(1)
        return await page.get_by_label("Act on the call").get_by_role("button").all_inner_texts()

    async with Publisher(gateway.url, "call-1") as call:
        call.on_command(lambda command: None)
        await call.send("bot_speech", {"text": "Hello?"})
        assert await acts("session:read session:list") == []
        assert await acts("session:read session:list session:complete") == ["End the call …"]
        assert await acts("session:read session:list session:command") == ["Whisper", "Say", "End the call …"]


async def test_a_command_that_the_bot_no_longer_takes_is_told_and_not_lost(
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
