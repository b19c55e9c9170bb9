"""The page's pure modules, each by itself, in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.conftest import OpenPage, pages_in
from tests.support.gateways import gateways_on

Json = Any


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(database_uri: str, browser: Browser) -> AsyncIterator[Page]:
    """One page for this file, whose tests only call modules."""
    async with gateways_on(database_uri, f"test-{uuid4().hex}") as start, pages_in(browser) as open_page:
        yield await open_page((await start()).url)


async def transcript(page: Page, *payloads: tuple[str, Json], offsets: tuple[int, ...] = ()) -> Json:
    """The items and spans of a call of these events, a second apart unless `offsets` are given."""
    events = [
        {
            "seq": seq,
            "type": kind,
            "payload": payload,
            "timestamp": f"2025-12-21T10:30:{offsets[seq - 1] if offsets else seq:02}.000Z",
        }
        for seq, (kind, payload) in enumerate(payloads, start=1)
    ]
    script = """async (events) => {
      const { Transcript } = await import("./static/data/transcript.js");
      const transcript = new Transcript();
      for (const event of events) transcript.add(event);
      const places = events.map((event) => transcript.indexOfSeq(event.seq));
      const { items, spans, marks, states, end } = transcript;
      const usage = items.flatMap((item) => [...(item.usage?.values() ?? [])]);
      return { items, spans, marks, states, end, places, usage };
    }"""
    return await page.evaluate(script, events)


async def test_a_final_text_replaces_its_interim_text(page: Page) -> None:
    read = await transcript(
        page,
        ("user_speech", {"text": "I", "final": False, "turn": 1}),
        ("system", {"event": "typing"}),
        ("user_speech", {"text": "I would", "final": False, "turn": 1}),
        ("user_speech", {"text": "I would.", "final": True, "turn": 1}),
        ("user_speech", {"text": "Next.", "turn": 2}),
    )
    assert [item.get("text") for item in read["items"]] == ["I would.", None, "Next."]
    assert [item["seqs"] for item in read["items"]] == [[1, 3, 4], [2], [5]]
    assert read["places"] == [0, 1, 0, 0, 2]
    assert len(read["spans"]) == 2


async def test_the_end_of_a_tool_call_is_matched_with_its_start(page: Page) -> None:
    read = await transcript(
        page,
        ("system", {"event": "tool.started", "name": "a"}),
        ("system", {"event": "tool.started", "name": "a", "callId": "x"}),
        ("system", {"event": "tool.failed", "name": "a", "callId": "x"}),
        ("system", {"event": "tool.completed", "name": "a", "durationMs": 70}),
        ("system", {"event": "tool.completed", "name": "b"}),
    )
    states = [(item["name"], item["state"], item["seqs"], item.get("duration")) for item in read["items"]]
    assert states == [("a", "completed", [1, 4], 70), ("a", "failed", [2, 3], 1000), ("b", "completed", [5], None)]


async def test_the_clock_of_a_call_follows_measured_times_and_never_goes_back(page: Page) -> None:
    read = await transcript(
        page,
        ("bot_speech", {"text": "a", "startedMs": 500, "endedMs": 4000, "turn": 0}),
        ("system", {"event": "interruption", "turn": 0, "atMs": 2500, "unsaid": "x"}),
        ("user_speech", {"text": "b", "startedMs": 2000, "endedMs": 3000}),
        ("system", {"event": "note"}),
        ("bot_speech", {"text": "c", "startedMs": 3100, "endedMs": 3500}),
    )
    assert [item["at"] for item in read["items"]] == [500, 2500, 3000, 4000, 4000]
    assert (read["items"][0]["interrupted"], read["items"][0]["unsaid"]) == (True, "x")
    assert [(span["start"], span["end"]) for span in read["spans"]] == [(500, 2500), (2000, 3000), (3100, 3500)]


async def test_a_time_that_is_far_away_moves_no_other_event(page: Page) -> None:
    script = """async (times) => {
      const { Transcript } = await import("./static/data/transcript.js");
      const transcript = new Transcript();
      times.forEach(([timestamp, more], at) =>
        transcript.add({ seq: at + 1, type: "user_speech", payload: { text: "a", ...more }, timestamp }));
      return [transcript.items.map((item) => item.at), transcript.end];
    }"""
    near = [f"2025-12-21T10:30:{second:02}.000Z" for second in range(10)]
    far, early = "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z"
    odd = [(far, {}), (early, {}), (near[1], {"startedMs": 1e9, "endedMs": 1e9}), (near[1], {"endedAt": far})]
    read = await page.evaluate(script, [(near[0], {}), *odd, (near[2], {}), (near[3], {"endedMs": 3500})])
    assert read == [[0, 0, 0, 0, 0, 1000, 3500], 3500]


async def test_an_utterance_that_arrives_late_is_shown_where_it_was_said(page: Page) -> None:
    read = await transcript(
        page,
        ("bot_speech", {"text": "b", "startedMs": 3000, "endedMs": 4000}),
        ("system", {"event": "note"}),
        ("user_speech", {"text": "a", "startedMs": 1000, "endedMs": 2000}),
        ("bot_speech", {"text": "c", "startedMs": 5000, "endedMs": 6000}),
    )
    assert [item.get("text") for item in read["items"]] == ["a", "b", None, "c"]
    assert read["places"] == [1, 2, 0, 3]


async def test_an_interruption_cuts_an_utterance_that_arrives_after_it(page: Page) -> None:
    read = await transcript(
        page,
        ("system", {"event": "interruption", "by": "supervisor", "atMs": 2500, "unsaid": "more"}),
        ("bot_speech", {"text": "less and more", "startedMs": 2000, "endedMs": 4000}),
        ("bot_speech", {"text": "anew", "startedMs": 4500, "endedMs": 5000}),
        ("bot_speech", {"text": "well", "startedMs": 6000, "endedMs": 7000, "interrupted": True, "cutBy": "hangup"}),
    )
    cuts = [(item["interrupted"], item["cutBy"], item["unsaid"]) for item in read["items"] if item["kind"] == "speech"]
    assert cuts == [(True, "supervisor", "more"), (False, None, None), (True, "hangup", None)]
    assert [(span["start"], span["end"]) for span in read["spans"]] == [(2000, 2500), (4500, 5000), (6000, 7000)]


async def test_each_kind_of_tool_end_is_recognized_and_progress_is_not_an_end(page: Page) -> None:
    ends = {"tool.completed": "completed", "tool.failed": "failed", "tool.timed_out": "timed_out"}
    ends["tool.cancelled"] = "cancelled"
    events: list[tuple[str, Json]] = []
    for name in ends:
        for event in ("tool.started", "tool.progress", name):
            events.append(("system", {"event": event, "name": name}))
    read = await transcript(page, *events)
    assert [item["state"] for item in read["items"]] == list(ends.values())
    assert [len(item["seqs"]) for item in read["items"]] == [3, 3, 3, 3]
    assert len(read["marks"]) == 2


async def test_a_command_is_one_item_whose_first_outcome_stands(page: Page) -> None:
    def control(name: str, command_id: Json = "a", **more: Json) -> tuple[str, Json]:
        return "system", {"event": f"control.{name}", "commandId": command_id, **more}

    read = await transcript(
        page,
        control("requested", command="say", payload={"text": "Hello"}, by="ada"),
        control("requested", "b", command="transfer", payload={"to": 5}),
        control("accepted"),
        control("done"),
        control("expired", message="too late"),
        control("expired", "b"),
        control("done", "unknown"),
        control("requested", ["a"]),
    )
    items = [(item["kind"], item.get("command"), item.get("state"), item["seqs"]) for item in read["items"]]
    assert items[:2] == [("command", "say", "done", [1, 3, 4, 5]), ("command", "transfer", "expired", [2, 6])]
    assert [item[0] for item in items[2:]] == ["chip", "chip"]
    assert [read["items"][0][name] for name in ("text", "by", "message")] == ["Hello", "ada", None]


async def test_speaker_states_are_not_shown_and_usage_is_one_item(page: Page) -> None:
    read = await transcript(
        page,
        ("user_speech", {"text": "a"}),
        ("system", {"event": "bot.state", "state": "speaking"}),
        ("system", {"event": "usage", "kind": "llm", "inputTokens": 5}),
        ("user_speech", {"text": "mhm", "source": "backchannel"}),
        ("system", {"event": "usage", "kind": "llm", "inputTokens": 7, "outputTokens": 1}),
        ("user_speech", {"text": "4", "source": "dtmf"}),
    )
    assert [item["kind"] for item in read["items"]] == ["speech", "usage", "speech", "speech"]
    assert read["places"] == [0, 0, 1, 2, 1, 3]
    assert read["states"] == {"user": None, "bot": "speaking"}
    assert read["usage"] == [{"name": "llm", "inputTokens": 12, "outputTokens": 1}]
    assert [span["source"] for span in read["spans"]] == ["speech", "backchannel"]


async def test_numbers_are_shown_as_they_were_sent(page: Page) -> None:
    script = """async (text) => {
      const { readJson } = await import("./static/data/json.js");
      const { numberOf, textOf } = await import("./static/data/values.js");
      return [textOf(readJson(text)), JSON.parse(text).n.map((_, at) => numberOf(readJson(text).n[at]))];
    }"""
    text = '{"n":[9007199254740993,1.0,-0,1e2,0.1,1,-7,1E-7,12345678901234567890],"s":"1.0, -0}"}'
    written, numbers = await page.evaluate(script, text)
    assert written == text
    assert numbers == [2**53, 1, 0, 100, 0.1, 1, -7, 1e-7, 12345678901234567000]


async def test_a_browser_without_source_text_access_still_reads_numbers(page: Page, open_page: OpenPage) -> None:
    other = await open_page(page.url)
    await other.add_init_script("delete JSON.rawJSON")
    await other.reload()
    script = "import('./static/data/json.js').then(({ readJson }) => readJson('[9007199254740993,1.0,0.5]'))"
    assert await other.evaluate(script) == [2**53, 1, 0.5]


async def test_the_address_can_name_any_session_event_moment_and_filter(page: Page) -> None:
    script = """async (id) => {
      const { callHref, callsHref, compareHref, parseRoute } = await import("./static/data/route.js");
      const filter = { q: id, status: "failed" };
      return [callHref(id, { seq: 42 }), callHref(id, { at: 83500 }), compareHref(id, "b"), callsHref(filter),
        "#/s/%", "", "#/gateway"].map(parseRoute);
    }"""
    for session_id in ("call-1", "a/b?c#d%", "日本語 🎙", "__proto__", "."):
        event, moment, compare, listed, *others = await page.evaluate(script, session_id)
        assert event == {"page": "call", "sessionId": session_id, "seq": 42, "at": None}
        assert moment == {"page": "call", "sessionId": session_id, "seq": None, "at": 83500}
        assert compare == {"page": "compare", "a": session_id, "b": "b"}
        assert listed["page"] == "calls"
        assert {name: value for name, value in listed["filter"].items() if value} == {
            "q": session_id,
            "status": "failed",
        }
        assert [other["page"] for other in others] == ["calls", "calls", "gateway"]


async def test_a_call_that_was_quiet_before_the_page_was_opened_is_stalled_from_the_start(page: Page) -> None:
    script = """async (quietMs) => {
      const { makeRow, updateRow } = await import("./static/data/calls.js");
      const { attention } = await import("./static/data/attention.js");
      const session = { sessionId: "s", lastSeq: 2, endedAt: null, metadata: {}, figures: null };
      const lastLine = { seq: 2, side: "user" };
      const asked = { throughSeq: 2, lastLine, toolsRunning: 0, interruptions: { byUser: 0 } };
      const row = makeRow({ ...session, quietMs }, asked);
      const before = attention(row, Date.now()).map((reason) => reason.kind);
      updateRow(row, { ...session, lastSeq: 3 }, asked);
      return [before, attention(row, Date.now())];
    }"""
    assert await page.evaluate(script, 10_000) == [["stalled"], []]
    assert await page.evaluate(script, None) == [[], []]
