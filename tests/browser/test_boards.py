"""Sums over calls, drawn, and the way from them to the calls."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from playwright.async_api import Route, expect

from tests.browser.conftest import NARROWEST, OpenPage
from tests.browser.test_acting import token_for
from tests.browser.test_using_the_page import check_access, have_calls
from tests.support.gateways import Gateway
from turnwire.store.session_record import SessionRecord


async def test_a_click_on_a_day_leads_to_its_calls(gateway: Gateway, open_page: OpenPage) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for days in (0, 3, 40):
        started = now - timedelta(days=days)
        record = SessionRecord(f"days-{days}", "en", started, "failed", ended_at=started, end_reason="no_line")
        assert await gateway.store.sessions.create(record)
    page = await open_page(gateway.url, timezone_id="Pacific/Auckland")
    await page.get_by_role("link", name="Boards").click()
    rows = page.get_by_label("Calls by day").get_by_role("row")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(2).get_by_role("cell")).to_have_text(["1", "1", "100 %", "\u2013", "\u2013", "0", "0", "0"])
    plot = page.get_by_label("Calls", exact=True).locator(".u-over")
    box = await plot.bounding_box()
    assert box
    await plot.click(position={"x": box["width"] * 26.5 / 30, "y": box["height"] / 2})
    await expect(page.locator(".call-link")).to_have_text(["days-3"])
    day = (now - timedelta(days=3)).date().isoformat()
    assert page.url.endswith(f"/#/?from={day}Z&to={day}Z")
    await page.go_back()
    await page.get_by_label("Range").select_option("7")
    await expect(page).to_have_url(f"{gateway.url}/#/boards?by=day&days=7")


async def test_a_board_by_bot_leads_to_the_bots_calls_and_to_those_that_failed(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await have_calls(gateway)
    for name in ("a", "b"):
        await gateway.create(name, metadata={"bot": "Ada"})
        await gateway.post(f"/sessions/{name}/complete", {"status": "failed" if name == "b" else "completed"})
    await gateway.create("no-bot")
    page = await open_page(f"{gateway.url}/#/boards", size=NARROWEST, scheme="dark")
    await page.get_by_role("button", name="Bot", exact=True).click()
    table = page.get_by_label("Calls by bot")
    await expect(table.get_by_role("rowheader")).to_have_text(
        ["Ada", "none", "Bot of done", "Bot of talk", "Bot of talk-2"]
    )
    await expect(page.locator(".uplot")).to_have_count(3)
    await expect(table.get_by_role("row", name="Bot of done")).to_contain_text("900 ms")
    await check_access(page)
    await table.get_by_role("link", name="Ada").click()
    await expect(page.locator(".call-row")).to_have_count(2)
    await page.go_back()
    await table.get_by_role("link", name="1 failed").click()
    await expect(page.locator(".call-row")).to_have_count(1)
    await expect(page.locator(".call-link")).to_have_attribute("data-call", "b")
    await page.go_back()
    await table.get_by_role("link", name="none").click()
    await expect(page.locator(".call-link")).to_have_text(["no-bot"])
    await page.go_back()
    await page.get_by_role("button", name="End reason").click()
    await page.get_by_label("Calls by end reason").get_by_role("link", name="none").click()
    await expect(page.locator(".call-link")).to_have_count(5)
    await expect(page.get_by_label("Without")).to_have_value("endReason")
    await page.get_by_label("Without").select_option("bot")
    await expect(page.locator(".call-link")).to_have_text(["no-bot"])


async def test_a_board_says_that_it_is_being_added_up(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(gateway.url)
    answer = asyncio.Event()

    async def later(route: Route) -> None:
        await answer.wait()
        await route.continue_()

    await page.route("**/stats?*", later)
    await page.get_by_role("link", name="Boards").click()
    told = page.get_by_text("Adding up the calls …")
    await expect(told).to_be_visible()
    answer.set()
    await expect(page.get_by_role("region", name="Calls by day")).to_be_visible()
    await expect(told).to_have_count(0)


async def test_boards_are_not_offered_with_a_token_for_some_sessions(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(f"{gateway.url}/#token={token_for('session:list', ['call-*'])}")
    await expect(page.locator(".connection")).to_have_text("LIVE")
    assert await page.get_by_label("Pages").get_by_role("link").all_inner_texts() == ["Calls", "API"]
