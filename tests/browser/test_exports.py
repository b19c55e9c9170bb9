"""The files that the page makes of a call: exact, and harmless to what opens them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.gateways import Gateway, new_event

Json = Any


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
    """Return the files that the page makes, by the name of their button."""
    texts = {}
    for form in forms:
        async with page.expect_download() as download:
            await page.get_by_role("button", name=form, exact=True).click()
        await (await download.value).save_as(folder / "file")
        texts[form] = (folder / "file").read_bytes().decode()
    return texts


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""Characters that a cell may not begin with, and their full-width forms."""
FORMULAS = [*(f"{sign}1" for sign in SIGNS), *(f"{before}=1" for before in ("\ufeff", " ", '"', "\t", "\u200b"))]


async def test_exports_run_no_formula_in_a_spreadsheet_whatever_its_separator(
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


async def test_text_exports_contain_no_terminal_commands_and_no_forged_lines(
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


async def test_a_call_is_exported_as_chat_messages(gateway: Gateway, open_page: OpenPage, tmp_path: Path) -> None:
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
