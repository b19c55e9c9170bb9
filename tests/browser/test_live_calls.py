"""Calls that go on while the page is open, streamed by real publishers."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.gateways import Gateway, new_event
from tests.support.processes import GatewayProcess
from turnwire import Publisher

SHOWN_SEQS = """() => [...document.querySelectorAll('.item .seq')].map((link) => Number(link.textContent.slice(1)))"""


async def test_a_live_call_is_shown_from_its_first_word_to_its_end(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(gateway.url)
    await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    async with Publisher(gateway.url, "call-1", metadata={"bot": "Ada"}) as call:
        await call.send("system", {"event": "call.started"})
        await call.send("bot_speech", {"text": "Good morning!", "turn": 0, "startedMs": 500, "endedMs": 1500})
        row = page.get_by_role("row").filter(has_text="Ada")
        await expect(row).to_contain_text("Good morning!")
        await expect(row).to_contain_text("active")
        await page.get_by_role("link", name="Ada").click()
        transcript = page.get_by_role("list")
        await expect(transcript.get_by_text("Good morning!")).to_be_visible()

        await call.signal("user_speech", {"text": "I would", "final": False, "turn": 1})
        await expect(page.locator(".user .bubble.interim")).to_contain_text("I would")
        heard = {"text": "I would like a table.", "final": True, "turn": 1, "startedMs": 2000, "endedMs": 3000}
        await call.send("user_speech", heard)
        await expect(transcript.get_by_text("I would like a table.")).to_be_visible()
        await expect(page.locator(".bubble.interim")).to_have_count(0)

        await _use_a_tool_and_be_interrupted(call, page)
        await call.send("system", {"event": "weather", "sky": "blue"})
        await expect(page.get_by_text("weather", exact=True)).to_be_visible()
        await expect(page.locator(".events")).to_have_text("9 events")
        await call.complete(reason="user_hangup")
    await expect(page.locator(".call-head .badge")).to_have_text("completed")
    await expect(page.get_by_label("Figures", exact=True)).to_contain_text("800 ms")
    await page.get_by_role("link", name="Back to the calls").click()
    await expect(page.get_by_role("heading", name="Recent 1")).to_be_visible()
    await expect(page.locator(".call-row.ended")).to_contain_text("completed")


async def _use_a_tool_and_be_interrupted(call: Publisher, page: Page) -> None:
    await call.send("system", {"event": "tool.started", "name": "find_table", "arguments": {"guests": 4}})
    await expect(page.locator(".chip.tool-running")).to_contain_text("find_table")
    await call.send("system", {"event": "tool.failed", "name": "find_table", "error": {"code": "timeout"}})
    failed = page.locator(".chip.tool-failed")
    await failed.locator("summary").click()
    await expect(failed).to_contain_text('"guests": 4')
    await expect(failed).to_contain_text('"code": "timeout"')
    await call.send("bot_speech", {"text": "One moment, I am", "turn": 1, "startedMs": 3800, "endedMs": 6000})
    await expect(page.locator(".bot .bubble", has_text="One moment")).to_contain_text("after 800 ms")
    await call.send("system", {"event": "interruption", "by": "user", "turn": 1, "atMs": 4600})
    await expect(page.locator(".bot .bubble.cut")).to_contain_text("One moment")
    await call.send("user_speech", {"text": "Never mind.", "turn": 2, "startedMs": 4500, "endedMs": 5400})


async def test_after_a_killed_and_a_drained_gateway_the_page_shows_every_event_once(
    database_uri: str, database_name: str, tmp_path: Path, open_page: OpenPage
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = GatewayProcess(tmp_path, mongodb_uri=database_uri, mongodb_database=database_name, port=port)
    async with process:
        tall = {"width": 1200, "height": 4000}
        refused = ("net::ERR_", "Failed to load resource", "WebSocket connection to")
        async with Publisher(process.url, "call-1") as call:
            await _say(call, 1, 10)
            page = await open_page(f"{process.url}/#/s/call-1", size=tall, allowed=refused)
            state = page.locator(".connection")
            await expect(state).to_have_text("LIVE")
            await expect(page.locator(".events")).to_have_text("10 events")
            await asyncio.to_thread(process.kill)
            await expect(state).to_contain_text("reconnecting")
            await _say(call, 11, 20, flush=False)
            await asyncio.to_thread(process.start)
            await call.flush(timeout=20)
            await expect(state).to_have_text("LIVE")
            await _say(call, 21, 30)
            await expect(page.locator(".events")).to_have_text("30 events")
            assert await asyncio.to_thread(process.terminate) == 0
            await asyncio.to_thread(process.start)
            await _say(call, 31, 40)
            await expect(page.locator(".events")).to_have_text("40 events")
            await expect(state).to_have_text("LIVE")
            await expect(page.locator(".item .seq")).to_have_count(40)
            assert await page.evaluate(SHOWN_SEQS) == list(range(1, 41))
            await page.goto(f"{process.url}/#/")
            await expect(page.locator(".call-row")).to_contain_text("line 40")


async def test_while_the_gateway_is_silent_the_page_says_stale_and_marks_no_call_as_stalled(
    database_uri: str, database_name: str, tmp_path: Path, open_page: OpenPage
) -> None:
    async with GatewayProcess(tmp_path, mongodb_uri=database_uri, mongodb_database=database_name) as process:
        lost = ("WebSocket connection to", "net::ERR_")
        async with Publisher(process.url, "call-1") as call:
            page = await open_page(process.url, allowed=lost)
            state = page.locator(".connection")
            await _say(call, 1, 1)
            row = page.locator(".call-row")
            await expect(row).to_contain_text("line 1")
            process.process.send_signal(signal.SIGSTOP)
            try:
                await expect(state).to_have_text("stale", timeout=30_000)
                lasted = row.locator(".duration").get_by_role("img")
                await expect(lasted).to_have_text(re.compile(r"^0:[1-5]\d$"), timeout=30_000)
                await expect(row.locator(".reason")).to_have_count(0)
            finally:
                process.process.send_signal(signal.SIGCONT)
            await expect(state).to_have_text("LIVE", timeout=30_000)
            await _say(call, 2, 2)
            await expect(row).to_contain_text("line 2")


async def _say(call: Publisher, first: int, last: int, *, flush: bool = True) -> None:
    for number in range(first, last + 1):
        await call.send("user_speech" if number % 2 else "bot_speech", {"text": f"line {number}", "turn": number})
    if flush:
        await call.flush(timeout=20)


async def test_two_hundred_live_calls_are_listed_and_only_the_visible_ones_are_drawn(
    gateway: Gateway, open_page: OpenPage
) -> None:
    page = await open_page(gateway.url)
    await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    quiet = asyncio.Event()

    async def run(number: int) -> None:
        async with Publisher(gateway.url, f"call-{number:03}", "de" if number % 4 == 0 else "en") as call:
            await call.send("bot_speech", {"text": "Hello?", "turn": 0})
            await call.send("user_speech", {"text": f"I am caller {number}", "turn": 1})
            await call.flush(timeout=30)
            await quiet.wait()

    async with asyncio.TaskGroup() as calls:
        for number in range(200):
            calls.create_task(run(number))
        await expect(page.locator(".count strong")).to_have_text("200", timeout=30_000)
        await page.get_by_label("Search calls").fill("caller 137")
        await expect(page.locator(".call-row")).to_have_count(1)
        await page.get_by_label("Search calls").fill("")
        await page.get_by_label("Language").select_option("de")
        await expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", "50")
        await page.get_by_label("Language").select_option("")
        assert 10 < await page.locator(".call-row").count() < 60
        await page.locator(".call-scroller").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        # 200 calls, the button, and a heading or two as soon as some count as stalled.
        await expect(page.locator(".windowed-item").last).to_have_attribute("data-index", re.compile("20[0-4]"))
        subscribers = await gateway.client.get(f"{gateway.url}/metrics")
        assert "turnwire_subscribers 1.0" in await subscribers.text()
        quiet.set()


async def test_live_calls_beyond_the_feeds_snapshot_are_listed_too(gateway: Gateway, open_page: OpenPage) -> None:
    await asyncio.gather(*(gateway.create(f"call-{number:03}", status="active") for number in range(530)))
    page = await open_page(gateway.url)
    await expect(page.locator(".count strong")).to_have_text("530")


async def test_a_call_of_ten_thousand_events_is_shown_in_windows_and_can_be_opened_at_any_seq(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await gateway.create("long")
    for first in range(1, 10_001, 500):
        events = [
            new_event(
                f"e{seq}", {"text": f"line {seq}", "turn": seq, "startedMs": seq * 900, "endedMs": seq * 900 + 700}
            )
            for seq in range(first, first + 500)
        ]
        await gateway.post("/sessions/long/events", {"events": events}, status=201)
    page = await open_page(f"{gateway.url}/#/s/long?seq=4242")
    await expect(page.locator(".events")).to_have_text("10000 events", timeout=30_000)
    await expect(page.locator(".item.target")).to_contain_text("line 4242")
    await expect(page.locator(".item.target")).to_be_in_viewport()
    assert await page.locator(".item").count() < 100
    await page.get_by_label("Go to #").fill("7")
    await page.get_by_label("Go to #").press("Enter")
    await expect(page.locator(".item.target")).to_contain_text("line 7")
    await expect(page.locator(".item.target")).to_be_in_viewport()
    await page.get_by_role("button", name="Newest").click()
    await expect(page.locator(".item").last).to_contain_text("line 10000")
    await expect(page.locator(".item").last).to_be_in_viewport()
