"""What a person does on the page: by keyboard, with a screen reader, on a phone, below a prefix."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.support.gateways import Gateway, new_event
from tests.support.prefix_proxy import prefix_proxy
from turnwire import Publisher
from turnwire.gateway.telemetry.recent import Reading
from turnwire.store.session_record import SessionRecord

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
SPOKEN = [
    ("system", {"event": "call.started"}),
    ("bot_speech", {"text": "Hello, how can I help?", "turn": 0, "startedMs": 500, "endedMs": 2500}),
    ("user_speech", {"text": "=1+1, please", "turn": 1, "startedMs": 3000, "endedMs": 4000}),
    ("system", {"event": "tool.started", "name": "add", "arguments": {"a": 9007199254740993}}),
    ("system", {"event": "tool.failed", "name": "add", "durationMs": 120, "error": {"message": "too much"}}),
    ("bot_speech", {"text": "I cannot", "turn": 1, "startedMs": 4900, "endedMs": 5600, "interrupted": True}),
    ("system", {"event": "interruption", "by": "user", "turn": 1, "unsaid": "do that"}),
    ("user_speech", {"text": "Pity.", "turn": 2, "startedMs": 5500, "endedMs": 6100}),
    ("bot_speech", {"text": "Sorry!", "turn": 2, "startedMs": 6700, "endedMs": 7300}),
    ("system", {"event": "metrics.turn", "turn": 2, "llmMs": 310}),
    ("system", {"event": "error", "message": "the line is bad"}),
    ("system", {"event": "new.kind", "any": ["thing"]}),
]


async def have_calls(gateway: Gateway) -> None:
    """An ended call and two live ones that do not fall silent during the test."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for name in ("done", "talk", "talk-2"):
        await gateway.create(name, metadata={"bot": f"Bot of {name}"})
        events = [
            new_event(f"e{n}", payload, type=type, timestamp=later) for n, (type, payload) in enumerate(SPOKEN, start=1)
        ]
        await gateway.post(f"/sessions/{name}/events", {"events": events}, status=201)
    await gateway.post("/sessions/done/complete", {"reason": "hangup"})


async def test_the_page_can_be_used_by_keyboard_alone(gateway: Gateway, open_page: OpenPage) -> None:
    await have_calls(gateway)
    page = await open_page(gateway.url)
    await expect(page.locator(".call-row")).to_have_count(3)
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search calls")).to_be_focused()
    async with page.expect_response(re.compile(r"/sessions\?q=bot\+of&")):
        await page.keyboard.type("bot of")
    await expect(page.locator(".call-row")).to_have_count(3)
    for _ in range(5):
        await page.keyboard.press("Tab")
    links = page.locator(".call-link")
    await expect(links.nth(0)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("End")
    await expect(links.nth(2)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    chosen = await links.nth(1).text_content()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(chosen or "")
    await page.get_by_role("button", name="Replay").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Pause")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Replay")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Home")
    await expect(page.locator(".item")).to_have_count(1)
    await page.get_by_role("button", name="Latest", exact=True).press("Enter")
    await expect(page.locator(".item")).to_have_count(11)
    summary = page.locator(".tool-failed summary")
    await summary.press("Enter")
    await expect(page.get_by_text("too much")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name=chosen, exact=True)).to_be_focused()


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide light", "narrow dark"])
async def test_axe_finds_no_serious_accessibility_fault(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int], scheme: str
) -> None:
    page = await open_page(gateway.url, size=size, scheme=scheme)
    await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    await check_access(page)
    await have_calls(gateway)
    await expect(page.locator(".call-row")).to_have_count(3)
    await check_access(page)
    await page.goto(f"{gateway.url}/#/s/talk?seq=3")
    await expect(page.locator(".figures")).to_contain_text("900 ms")
    await page.locator(".tool-failed summary").click()
    await check_access(page)
    await page.goto(f"{gateway.url}/#/gateway")
    await expect(page.locator(".uplot")).to_have_count(6)
    await check_access(page)


async def check_access(page: Page) -> None:
    """Assert that axe finds no serious fault and that the page is no larger than the screen."""
    await page.evaluate(AXE)
    found = await page.evaluate("async () => (await axe.run()).violations")
    faults = [
        f"{fault['id']}: {fault['nodes'][0]['html']} {fault['nodes'][0]['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == []
    await check_size(page)


async def check_size(page: Page) -> None:
    """Assert that the page is as large as the screen, so that longer content scrolls within it."""
    root = "document.documentElement"
    assert await page.evaluate(f"{root}.scrollWidth <= innerWidth && {root}.scrollHeight <= innerHeight")


async def test_a_call_is_exported_in_four_forms(gateway: Gateway, open_page: OpenPage, tmp_path: Path) -> None:
    await have_calls(gateway)
    page = await open_page(f"{gateway.url}/#/s/done")
    texts = {}
    for form in ("NDJSON", "JSON", "CSV", "TXT"):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=form, exact=True).click()
        file = await download.value
        assert file.suggested_filename == f"done.{form.lower()}"
        await file.save_as(tmp_path / form)
        texts[form] = (tmp_path / form).read_bytes().decode()
    events = [json.loads(line) for line in texts["NDJSON"].splitlines()]
    assert [event["payload"] for event in events] == [payload for _, payload in SPOKEN]
    assert json.loads(texts["JSON"]) == events
    rows = texts["CSV"].split("\r\n")
    assert rows[0] == "seq,timestamp,type,event,turn,text,interrupted,payload"
    assert len(rows) == len(SPOKEN) + 2
    assert ',"\'=1+1, please",' in rows[3]
    assert "9007199254740993" in texts["JSON"]
    lines = texts["TXT"].splitlines()
    assert lines[5].endswith("Bot: I cannot [interrupted]")
    assert lines[6].endswith(': interruption {"by":"user","turn":1,"unsaid":"do that"}')


async def test_calls_that_need_attention_come_first_and_say_why(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("fine")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # the call does not become stalled during the test
    await gateway.post("/sessions/fine/events", new_event("e1", {"text": "Hi"}, timestamp=later), status=201)
    await have_calls(gateway)
    page = await open_page(gateway.url)
    headings = page.locator(".group h2")
    await expect(headings).to_have_text(["Attention 2", "Live 1", "Recent 1"])
    await expect(page.locator(".call-row").first.locator(".reason")).to_have_text(["tool error", "error"])


SPEAKING: list[tuple[Any, dict[str, Any]]] = [("system", {"event": "bot.state", "state": "speaking"})]
QUIET: dict[str, tuple[list[tuple[Any, dict[str, Any]]], list[str]]] = {
    "waiting": ([("user_speech", {"text": "Hello?", "turn": 1})], ["stalled"]),
    "tooling": ([("system", {"event": "tool.started", "name": "find"})], ["stalled"]),
    "quiet": ([("bot_speech", {"text": "Please hold", "turn": 1})], ["long silence"]),
    "broken": ([*SPEAKING, ("system", {"event": "tool.failed", "name": "find"}), *SPEAKING], ["tool error"]),
    "cut": (
        [
            *(("bot_speech", {"text": "As I said", "turn": turn, "interrupted": True}) for turn in (1, 2, 3)),
            ("bot_speech", {"text": "So", "turn": 4, "startedMs": 0, "endedMs": 60_000}),
        ],
        ["interrupted 3"],
    ),
    "speaking": ([("user_speech", {"text": "Tell me all", "turn": 1}), *SPEAKING], []),
}
"""Session → its events, and the reasons shown 25 seconds after they came; the most severe first."""


async def test_calls_that_need_attention_are_ordered_by_severity(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(gateway.url, fake_clock=True)
    await expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    bots_clocks = itertools.cycle((timedelta(days=-1), timedelta(seconds=15), timedelta(minutes=5)))
    async with AsyncExitStack() as calls:
        for name, (events, _) in reversed(QUIET.items()):
            call = await calls.enter_async_context(Publisher(gateway.url, name))
            clock = next(bots_clocks)
            for kind, payload in events:
                await call.send(kind, payload, timestamp=datetime.now(UTC) + clock)
            await call.flush(timeout=30)
        await expect(page.locator(".call-row")).to_have_count(len(QUIET))
        await expect(page.locator(".call-row", has_text="tooling")).to_contain_text("1 event")
        await expect(page.locator(".call-row", has_text="waiting")).to_contain_text("Hello?")
        await expect(page.locator(".reason", has_text=re.compile("stalled|silence"))).to_have_count(0)
        await page.clock.fast_forward(7_000)
        await page.clock.fast_forward(18_000)
        for name, (_, reasons) in QUIET.items():
            for reason in reasons:
                await expect(page.locator(".call-row", has_text=name)).to_contain_text(reason)
        rows = await page.locator(".call-row").all_inner_texts()
        places = {name: next(place for place, row in enumerate(rows) if name in row) for name in QUIET}
        assert {places["waiting"], places["tooling"]} == {0, 1}
        assert places["speaking"] == len(QUIET) - 1
        await expect(page.locator(".group h2")).to_have_text(["Attention 5", "Live 1"])
        await expect(page.locator(".call-row").last.locator(".reason")).to_have_count(0)


async def test_the_page_works_under_a_path_prefix(gateway: Gateway, open_page: OpenPage) -> None:
    await have_calls(gateway)
    async with prefix_proxy("/voice", gateway.port) as url:
        page = await open_page(f"{url}/")
        await expect(page.locator(".connection")).to_have_text("LIVE")
        await page.get_by_role("link", name="Bot of talk", exact=True).click()
        await expect(page.get_by_text("Hello, how can I help?").first).to_be_visible()
        await expect(page.get_by_label("Figures", exact=True)).to_contain_text("900 ms")
        await page.close()  # before the proxy, which would miss it otherwise


@pytest.mark.parametrize("session_id", ["..", "a/b%2Fc"])
async def test_a_session_id_that_a_path_does_not_hold_is_read_and_acted_on(
    gateway: Gateway, open_page: OpenPage, session_id: str
) -> None:
    """No session of two dots is created any more, but an older gateway may have left one."""
    started = datetime.now(UTC).replace(microsecond=0)
    assert await gateway.store.sessions.create(SessionRecord(session_id, "en", started, metadata={"bot": "Dotty"}))
    said = [
        new_event("e1", {"text": "Hello?", "turn": 1, "startedMs": 0, "endedMs": 1000}),
        new_event("e2", {"text": "Hello!", "turn": 1, "startedMs": 1900, "endedMs": 2500}, type="bot_speech"),
    ]
    await gateway.post(f"/sessions/-/events?sessionId={quote(session_id, safe='')}", {"events": said}, status=201)
    page = await open_page(gateway.url)
    await page.get_by_role("link", name="Dotty").click()
    await expect(page.locator(".bubble").last).to_contain_text("Hello!")
    await expect(page.locator(".figures")).to_contain_text("900 ms")
    async with page.expect_download():
        await page.get_by_role("button", name="TXT").click()
    await page.get_by_role("button", name="End the call …").click()
    await page.get_by_role("button", name="End the call", exact=True).click()
    await expect(page.locator(".call-head .badge")).to_have_text("completed")


async def test_the_page_of_a_call_that_does_not_exist_yet_shows_it_when_it_begins(
    gateway: Gateway, open_page: OpenPage
) -> None:
    page = await open_page(f"{gateway.url}/#/s/tomorrow")
    await expect(page.get_by_role("status").filter(has_text="no call with this id yet")).to_be_visible()
    await expect(page.get_by_role("link", name="Back to the calls")).to_be_visible()
    await gateway.create("tomorrow")
    await gateway.post("/sessions/tomorrow/events", new_event("e1", {"text": "Here I am", "turn": 1}), status=201)
    await expect(page.locator(".bubble")).to_contain_text("Here I am")
    await expect(page.get_by_text("no call with this id yet")).to_have_count(0)


@asynccontextmanager
async def events_coming(gateway: Gateway) -> AsyncIterator[None]:
    """Append an event every tenth of a second while the block lasts."""
    session_id = await gateway.create()

    async def append() -> None:
        for number in itertools.count():
            await gateway.post(f"/sessions/{session_id}/events", new_event(f"e{number}"), status=201)
            await asyncio.sleep(0.1)

    appending = asyncio.create_task(append())
    try:
        yield
    finally:
        appending.cancel()
        await asyncio.wait([appending])


async def test_the_gateways_metrics_are_shown_as_live_plots(gateway: Gateway, open_page: OpenPage) -> None:
    gateway.gateway.recent.readings.appendleft(Reading(1_700_000_000, 1234, [], [], 0, 0, 0, 0, True))
    page = await open_page(gateway.url)
    async with page.expect_response("**/metrics/recent?afterMs=0") as first:
        await page.get_by_role("link", name="Gateway", exact=True).click()
    assert (await (await first.value).json())["timesMs"][0] == 1_700_000_000_000  # before the page was opened
    rate = page.get_by_label("Events per second").first
    await expect(rate.locator("strong")).to_have_text("0")
    await have_calls(gateway)
    async with events_coming(gateway):  # a reading without any would show 0 again
        await expect(rate.locator("strong")).to_have_text(re.compile(r"[1-9]"))
    await expect(page.get_by_label("Ack latency").first).to_contain_text("from receipt to ack")
    await expect(page.get_by_label("Database").first).to_contain_text("up")
    await expect(page.get_by_label("Connections and sessions").first).to_contain_text("subscribers 1")


async def test_the_colour_scheme_can_be_chosen(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(gateway.url, scheme="light")
    back = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(back)
    button = page.get_by_role("button", name="Colours")
    await button.click()
    await button.click()
    dark = await page.evaluate(back)
    assert dark != light
    await page.reload()
    await expect(button).to_be_visible()
    assert await page.evaluate(back) == dark
