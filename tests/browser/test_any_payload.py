"""Whatever clients put into metadata, payloads and signals breaks at most its own row, and is shown as it was sent."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.conftest import NARROW, NARROWEST, WIDE, OpenPage
from tests.browser.test_using_the_page import check_size
from tests.support.gateways import Gateway, new_event
from turnwire import Publisher

Json = Any
TALL, TALLEST = 1600, 8000
"""Heights at which all rows and all events are drawn."""
LONG = "W" * 256
KEYS = ("toString", "valueOf", "toJSON", "__proto__", "constructor", "hasOwnProperty", "prototype", "length", "then")
OBJECT: Json = dict.fromkeys(KEYS, 1)


def nested(levels: int) -> Json:
    value: Json = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


METADATA: list[Json] = [
    {"services": [{"toString": 1}]},
    {"services": [OBJECT, [OBJECT], None, 1.0, True]},
    {"bot": OBJECT, "agent": [], "name": 5, "services": OBJECT},
    {"__proto__": {"bot": "inherited"}, "constructor": OBJECT, "toString": "text"},
    {"bot": LONG, LONG: LONG},
    {"bot": "\u202ereversed", "note": "\u0007\u001b[31mred"},
    {"name": "<img src=x onerror=alert(1)>"},
    {"deep": nested(60)},
    {"huge": ["x" * 1000] * 50, "bot": "y" * 10_000},
    {"bot": " \n\t ", "services": []},
]
NAMES = ("constructor", "__proto__", "toString", "hasOwnProperty", "", LONG, "tool", "\u202eevent")
PAYLOADS: list[tuple[str, Json]] = [
    *(("system", {"event": name}) for name in NAMES),
    *(("system", {"event": value}) for value in (OBJECT, None, 5, 1.0, ["tool.started"], True)),
    ("system", {"event": "tool.started", "name": OBJECT, "callId": OBJECT, "arguments": OBJECT}),
    ("system", {"event": "tool.progress", "name": None}),
    ("system", {"event": "tool.failed", "name": LONG, "error": OBJECT, "durationMs": "soon"}),
    ("system", {"event": "tool.completed", "durationMs": -5, "results": None, "result": nested(50)}),
    ("system", {"event": "tool.timed_out", "callId": LONG}),
    ("system", {"event": "metrics.turn", "turn": OBJECT, "llmMs": -1, "sttMs": 1e300, LONG + "Ms": 5, "ttsMs": OBJECT}),
    ("system", {"event": "interruption", "by": OBJECT, "atMs": 1e12, "unsaid": 5, "turn": "first"}),
    ("system", {"event": "interruption", "by": "constructor", "atMs": 1}),
    ("system", {"event": "error", "message": OBJECT, "error": "text", "code": 7}),
    ("system", {"event": "usage", "kind": OBJECT, "inputTokens": "many", "outputTokens": 1e308, "cost": 1e308}),
    ("system", {"event": "usage", "cost": 1e308, "model": LONG}),
    ("system", {"event": "bot.state", "state": OBJECT}),
    *(("system", {"event": name, "to": [OBJECT], "name": 5, "digits": OBJECT}) for name in ("handoff", "node", "dtmf")),
    ("system", OBJECT),
    ("system", {}),
    *(("user_speech", {"text": text}) for text in (OBJECT, 1.0, "", LONG, "\u202ereversed", "<b>bold</b>", "a\n\nb")),
    ("user_speech", {"text": "interim", "final": False, "turn": OBJECT}),
    ("bot_speech", {"text": "x", "turn": 1.5, "startedMs": 1e12, "endedMs": 0, "interrupted": "yes", "unsaid": OBJECT}),
    (
        "bot_speech",
        {"text": "x", "startedMs": "1", "endedMs": 5e11, "speaker": OBJECT, "source": OBJECT, "cutBy": OBJECT},
    ),
    ("bot_speech", {"text": "x", "startedAt": "nonsense", "endedAt": 5, "source": "constructor", "cutBy": "toString"}),
    ("bot_speech", {"text": "x", "startedMs": 0.5, "endedMs": 100.0, "speaker": LONG}),
    ("bot_speech", {"text": "z" * 20_000}),
    ("bot_speech", {}),
]
TIMES = ("0001-01-01T00:00:00Z", "2025-12-21T10:30:00Z", "9999-12-31T23:59:59.999Z")


async def check_sizes(page: Page, height: int) -> None:
    """Check the size of the page on a desktop and on two phones, of this height."""
    for screen in (NARROW, NARROWEST, WIDE):
        await page.set_viewport_size({"width": screen["width"], "height": height})
        await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        await check_size(page)


async def test_any_metadata_spoils_at_most_its_own_row(gateway: Gateway, open_page: OpenPage) -> None:
    for number, metadata in enumerate(METADATA):
        await gateway.create(f"call-{number}", metadata=metadata)
        if number % 2:
            await gateway.post(f"/sessions/call-{number}/complete", {"status": "failed", "reason": LONG})
    page = await open_page(gateway.url, size={**WIDE, "height": TALL})
    await expect(page.locator(".call-row")).to_have_count(len(METADATA))
    await expect(page.locator('[data-call="call-6"]')).to_have_text("<img src=x onerror=alert(1)>")
    await expect(page.locator('[data-call="call-3"]')).to_have_text("call-3")
    await expect(page.locator('[data-call="call-0"]')).to_have_text('{"toString":1}')
    await check_sizes(page, TALL)
    await page.get_by_label("Search calls").fill("inherited text")
    await expect(page.locator(".call-link")).to_have_text(["call-3"])
    for number, metadata in enumerate(METADATA):
        await page.goto(f"{gateway.url}/#/s/call-{number}")
        await expect(page.locator(".details code")).to_have_text(f"call-{number}")
        names = page.locator(".details dt").filter(has_not_text="Reason").nth(4)
        await expect(names).to_have_text(next(iter(metadata)))
        await check_sizes(page, TALL)
        assert await page.locator(".figures").evaluate("(panel) => panel.scrollWidth <= panel.clientWidth")


async def test_with_any_payload_the_page_stays_alive_and_shows_every_event(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await gateway.create("call")
    events = [
        new_event(f"e{number}", payload, type=type, timestamp=TIMES[number % 3])
        for number, (type, payload) in enumerate(PAYLOADS)
    ]
    last = new_event("last", {"text": "Still here"}, type="bot_speech", timestamp=TIMES[2])
    await gateway.post("/sessions/call/events", {"events": [*events, last]}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call", size={**WIDE, "height": TALLEST})
    await expect(page.locator(".events")).to_have_text(f"{len(PAYLOADS) + 1} events")
    await expect(page.get_by_text("Still here").last).to_be_visible()
    await check_sizes(page, TALLEST)
    for number, name in enumerate(NAMES[:4], start=1):
        await page.goto(f"{gateway.url}/#/s/call?seq={number}")
        await expect(page.locator(".item.target .name")).to_have_text(name)
    await page.locator(".item summary").evaluate_all("(all) => all.forEach((summary) => summary.click())")
    await check_sizes(page, TALLEST)
    await page.goto(f"{gateway.url}/#/s/call?seq={len(PAYLOADS) + 1}")
    last_time = page.locator(".item.target .at")
    await expect(last_time).to_have_attribute("title", re.compile(r"9999-12-31 23:59:59\.999 UTC$"))
    await page.goto(f"{gateway.url}/#/")
    await expect(page.locator(".call-row")).to_have_count(1)
    await check_sizes(page, TALLEST)


async def test_generated_payloads_leave_the_page_alive(gateway: Gateway, open_page: OpenPage) -> None:
    random = Random(13)
    atoms: list[Json] = [
        None,
        True,
        0,
        -1,
        1.0,
        1e300,
        2**53 + 1,
        "",
        "x",
        LONG,
        "user",
        "tool.started",
        "\u202e",
        OBJECT,
    ]
    fields = [
        *KEYS,
        "event",
        "text",
        "turn",
        "name",
        "callId",
        "startedMs",
        "endedMs",
        "atMs",
        "by",
        "final",
        "durationMs",
    ]
    known = [
        "tool.started",
        "tool.completed",
        "tool.failed",
        "interruption",
        "metrics.turn",
        "error",
        "usage",
        "bot.state",
    ]

    def value(depth: int) -> Json:
        kind = random.random()
        if depth and kind < 0.15:
            return [value(depth - 1) for _ in range(3)]
        if depth and kind < 0.3:
            return {random.choice(fields): value(depth - 1) for _ in range(3)}
        return random.choice(atoms)

    def event(number: int) -> Json:
        payload = {random.choice(fields): value(3) for _ in range(6)}
        if random.random() < 0.7:
            payload["event"] = random.choice(known)
        return new_event(f"e{number}", payload, type=random.choice(["system", "user_speech", "bot_speech"]))

    await gateway.create("call", metadata={random.choice(fields): value(3) for _ in range(20)})
    await gateway.post("/sessions/call/events", {"events": [event(number) for number in range(400)]}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call?seq=7")
    await expect(page.locator(".events")).to_have_text("400 events")
    slider = page.get_by_label("Place in the call")
    for key in ("Home", "PageUp", "End"):
        await slider.press(key)
    await expect(page.locator(".item").last).to_be_visible()
    for name in ("CSV", "TXT", "OpenAI messages"):
        async with page.expect_download():
            await page.get_by_role("button", name=name, exact=True).click()
    await page.goto(f"{gateway.url}/#/")
    await expect(page.locator(".call-row")).to_have_count(1)


async def test_signals_of_any_payload_are_shown(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(f"{gateway.url}/#/s/call")
    async with Publisher(gateway.url, "call") as call:
        await call.send("system", {"event": "call.started"})
        await expect(page.locator(".item")).to_have_count(1)
        for key, payload in {"user_speech": {"text": OBJECT}, "__proto__": OBJECT, LONG: {"n": 1.0}}.items():
            await call.signal(key, payload)
        await expect(page.locator(".item.is-signal")).to_have_count(3)
        await expect(page.locator(".item.is-signal").last).to_contain_text('{"n":1.0}')
        await check_size(page)
