"""Whatever clients put into metadata, payloads and signals spoils at most its own row, and is shown as it was sent."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NARROW, NARROWEST, WIDE, OpenPage
from tests.browser.test_using_the_page import check_size
from tests.support.gateways import Gateway, new_event
from turnwire import Publisher

Json = Any
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW, NARROWEST], ids=["1440", "400", "360"])
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


@SIZES
async def test_any_metadata_spoils_at_most_its_own_row(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int]
) -> None:
    for number, metadata in enumerate(METADATA):
        await gateway.create(f"call-{number}", metadata=metadata)
        if number % 2:
            await gateway.post(f"/sessions/call-{number}/complete", {"status": "failed", "reason": LONG})
    page = await open_page(gateway.url, size={**size, "height": 1600})
    await expect(page.locator(".call-row")).to_have_count(len(METADATA))
    await expect(page.locator('[data-call="call-6"]')).to_have_text("<img src=x onerror=alert(1)>")
    await expect(page.locator('[data-call="call-3"]')).to_have_text("call-3")
    await expect(page.locator('[data-call="call-0"]')).to_have_text('{"toString":1}')
    await check_size(page)
    await page.get_by_label("Search calls").fill("toString")
    await expect(page.locator(".call-row")).to_have_count(4)
    for number, metadata in enumerate(METADATA):
        await page.goto(f"{gateway.url}/#/s/call-{number}")
        await expect(page.locator(".details code")).to_have_text(f"call-{number}")
        names = page.locator(".details dt").filter(has_not_text="Reason").nth(4)
        await expect(names).to_have_text(next(iter(metadata)))
        await check_size(page)


@SIZES
async def test_any_payload_leaves_the_page_alive_and_every_event_in_it(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int]
) -> None:
    await gateway.create("call")
    events = [
        new_event(f"e{number}", payload, type=type, timestamp=TIMES[number % 3])
        for number, (type, payload) in enumerate(PAYLOADS)
    ]
    last = new_event("last", {"text": "Still here"}, type="bot_speech", timestamp=TIMES[2])
    await gateway.post("/sessions/call/events", {"events": [*events, last]}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call", size={**size, "height": 8000})
    await expect(page.locator(".events")).to_have_text(f"{len(PAYLOADS) + 1} events")
    await expect(page.get_by_text("Still here").last).to_be_visible()
    await check_size(page)
    for number, name in enumerate(NAMES[:4], start=1):
        await page.goto(f"{gateway.url}/#/s/call?seq={number}")
        await expect(page.locator(".item.target .name")).to_have_text(name)
    await page.locator(".item summary").evaluate_all("(all) => all.forEach((summary) => summary.click())")
    await check_size(page)
    await page.goto(f"{gateway.url}/#/s/call?seq={len(PAYLOADS) + 1}")
    last_time = page.locator(".item.target .at")
    await expect(last_time).to_have_attribute("title", re.compile(r"9999-12-31 23:59:59\.999 UTC$"))
    await page.goto(f"{gateway.url}/#/")
    await expect(page.locator(".call-row")).to_have_count(1)
    await check_size(page)


async def test_made_up_payloads_leave_the_page_alive(gateway: Gateway, open_page: OpenPage) -> None:
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


async def test_every_number_is_shown_and_exported_as_it_was_sent(
    gateway: Gateway, open_page: OpenPage, tmp_path: Path
) -> None:
    numbers = {"customer_id": 9007199254740993, "ratio": 1.0, "least": -(2**63)}
    await gateway.create("call", metadata=numbers)
    payload = {"event": "note", "turn": 9007199254740993, **numbers}
    await gateway.post("/sessions/call/events", new_event("e1", payload, type="system"), status=201)
    page = await open_page(f"{gateway.url}/#/s/call")
    details = page.locator(".details")
    for name, number in numbers.items():
        await expect(details.locator("dt", has_text=name)).to_have_text(name)
        await expect(details).to_contain_text(f"{name}{number}")
    await page.locator(".chip summary").click()
    for name, number in numbers.items():
        await expect(page.locator(".chip pre")).to_contain_text(f'"{name}": {number}')
    texts = await exports(page, tmp_path, "CSV", "TXT")
    row = next(csv.DictReader(io.StringIO(texts["CSV"])))
    assert row["turn"] == "9007199254740993"
    assert json.loads(row["payload"]) == payload
    assert '"ratio":1.0' in row["payload"]
    assert '"customer_id":9007199254740993,"ratio":1.0' in texts["TXT"]


async def exports(page: Page, folder: Path, *forms: str) -> dict[str, str]:
    """The files that the page makes, by the name of their button."""
    texts = {}
    for form in forms:
        async with page.expect_download() as download:
            await page.get_by_role("button", name=form, exact=True).click()
        await (await download.value).save_as(folder / "file")
        texts[form] = (folder / "file").read_bytes().decode()
    return texts


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What a cell may not begin with; also in their full width."""
FORMULAS = [*(f"{sign}1" for sign in SIGNS), *(f"{before}=1" for before in ("\ufeff", " ", '"', "\t", "\u200b"))]


async def test_exports_are_harmless_in_a_spreadsheet_whatever_it_parts_cells_by(
    gateway: Gateway, open_page: OpenPage, tmp_path: Path
) -> None:
    await gateway.create("call")
    texts = [before + formula for formula in FORMULAS for before in ("", "a;", "a\t", "a|", "a,", "a\n", "a; ")]
    events = [new_event(f"e{number}", {"text": text, "event": text}) for number, text in enumerate(texts)]
    await gateway.post("/sessions/call/events", {"events": events}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call")
    written = (await exports(page, tmp_path, "CSV"))["CSV"]
    for separator in ",;\t|":
        for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator):
            for cell in row:
                begun = cell.lstrip(' \t\r\n"\ufeff\u200b')
                assert not begun or begun[0] not in SIGNS, (separator, cell)
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [json.loads(row["payload"])["text"] for row in rows] == texts


async def test_text_exports_hold_nothing_that_a_terminal_obeys_and_no_forged_lines(
    gateway: Gateway, open_page: OpenPage, tmp_path: Path
) -> None:
    await gateway.create("call")
    text = "a\x1b[31mb\x07\x9bc\u202ed\u2066\r\n2025-01-01T00:00:00.000Z  Bot: forged\u2028e\x7f"
    events = [new_event("e1", {"text": text}), new_event("e2", {"event": text, "x": text}, type="system")]
    await gateway.post("/sessions/call/events", {"events": events}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call")
    texts = await exports(page, tmp_path, "CSV", "TXT")
    for written in texts.values():
        assert not set(written.replace("\r\n", "\n")) & set("\x1b\x07\x9b\u202e\u2066\r\u2028\x7f")
        assert "\\u001b[31m" in written
    lines = texts["TXT"].split("\n")
    assert not any(line.startswith("2025-01-01") for line in lines)
    assert "    2025-01-01T00:00:00.000Z  Bot: forged\\u2028e\\u007f" in lines


async def test_a_call_is_exported_as_the_messages_of_a_chat(
    gateway: Gateway, open_page: OpenPage, tmp_path: Path
) -> None:
    spoken: list[tuple[str, Json]] = [
        ("bot_speech", {"text": "Hello!", "turn": 0, "startedMs": 0, "endedMs": 900}),
        ("bot_speech", {"text": "It is five, and more", "turn": 1, "startedMs": 4000, "endedMs": 9000}),
        ("user_speech", {"text": "What", "final": False}),
        ("user_speech", {"text": "What time is it?", "startedMs": 1000, "endedMs": 2000}),
        ("system", {"event": "interruption", "by": "user", "turn": 1, "unsaid": ", and more"}),
        ("system", {"event": "tool.started", "name": "clock", "callId": "c1", "arguments": {"zone": 1.0}}),
        ("system", {"event": "tool.completed", "name": "clock", "callId": "c1", "result": {"hour": 9007199254740993}}),
    ]
    await gateway.create("call")
    events = [new_event(f"e{number}", payload, type=type) for number, (type, payload) in enumerate(spoken)]
    await gateway.post("/sessions/call/events", {"events": events}, status=201)
    page = await open_page(f"{gateway.url}/#/s/call")
    written = json.loads((await exports(page, tmp_path, "OpenAI messages"))["OpenAI messages"])
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone":1.0}'}}
    assert written == {
        "messages": [
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "What time is it?"},
            {"role": "assistant", "content": "It is five"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"hour":9007199254740993}'},
        ]
    }
