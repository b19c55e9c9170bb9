"""What people do with a call besides reading it: get alerts, end it, compare it, copy text and links from it."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Page, Route, WebSocket, expect

from tests.browser.conftest import NARROW, NARROWEST, WIDE, OpenPage
from tests.browser.test_using_the_page import check_access, check_size, have_calls
from tests.support.gateways import Gateway, new_event
from tests.turnwire.relay import eventually
from turnwire import Publisher

Json = Any
PHONES = pytest.mark.parametrize("size", [NARROW, NARROWEST], ids=["400", "360"])


async def say(gateway: Gateway, name: str, *payloads: Json, type: str = "user_speech") -> None:
    known = (await gateway.get(f"/sessions/{name}"))["lastSeq"]
    events = [new_event(f"e{known + number}", payload, type=type) for number, payload in enumerate(payloads)]
    await gateway.post(f"/sessions/{name}/events", {"events": events}, status=201)


async def test_a_hidden_tab_keeps_a_healthy_connection_open(gateway: Gateway, open_page: OpenPage) -> None:
    page = await open_page(gateway.url, fake_clock=True)
    sockets: list[WebSocket] = []
    pongs: list[str | bytes] = []

    def note(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framereceived", lambda frame: pongs.append(frame) if "pong" in str(frame) else None)

    page.on("websocket", note)
    await page.reload()
    await expect(page.locator(".connection")).to_have_text("LIVE")
    for _ in range(6):  # a browser lets the timers of a hidden tab run once a minute
        pongs.clear()
        await page.clock.fast_forward(60_000)
        await eventually(lambda: bool(pongs))
        await expect(page.locator(".connection")).to_have_text("LIVE")
    await gateway.create("call-1")
    await expect(page.locator(".call-row")).to_have_count(1)
    assert len(sockets) == 1


async def test_the_clock_of_a_live_call_runs_on_after_its_last_word(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("call-1")
    await say(gateway, "call-1", {"text": "Hello?", "startedMs": 0, "endedMs": 1000})
    page = await open_page(f"{gateway.url}/#/s/call-1", fake_clock=True)
    await expect(page.locator(".bubble")).to_contain_text("Hello?")
    await page.clock.fast_forward(10_000)
    await expect(page.locator(".call-head .reason")).to_have_text("stalled")
    await expect(page.locator(".player .where")).to_have_text(re.compile(r"^0:(0[3-9]|[1-5]\d) / 0:(0[3-9]|[1-5]\d)$"))
    await expect(page.get_by_role("img", name=re.compile(r"Who spoke when, over 0:(0[3-9]|[1-5]\d)"))).to_be_visible()


async def test_a_tool_still_running_when_the_call_has_ended_is_shown_with_no_answer(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await gateway.create("call-1")
    await say(gateway, "call-1", {"event": "tool.started", "name": "find"}, type="system")
    page = await open_page(f"{gateway.url}/#/s/call-1")
    await expect(page.locator(".chip .state")).to_have_text("running …")
    await gateway.post("/sessions/call-1/complete", {})
    await expect(page.locator(".chip .state")).to_have_text("no answer")
    await expect(page.locator(".tiles .warn")).to_contain_text("no answer")


async def test_every_conventional_event_is_drawn(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("call-1")
    stages = {"endpointingMs": 200, "sttMs": 100, "llmMs": 400, "toolMs": 50, "ttsMs": 150}
    await say(
        gateway,
        "call-1",
        {"event": "metrics.turn", "turn": 1, **stages},
        {"event": "handoff", "from": "Ada", "to": "billing_team"},
        {"event": "dtmf", "digits": "42#"},
        {"event": "guardrail", "name": "no_advice"},
        {"event": "call.analysis", "outcome": "booked"},
        {"event": "usage", "kind": "llm", "inputTokens": 1200},
        {"event": "interruption", "by": "hangup"},
        type="system",
    )
    await say(gateway, "call-1", {"text": "mhm", "source": "backchannel", "speaker": "caller_2"})
    page = await open_page(f"{gateway.url}/#/s/call-1")
    await expect(page.locator(".stages i")).to_have_count(5)
    names = ["Turn 1 measured", "Handed off from Ada to billing_team", "Keys: 42#", "Guardrail: no_advice"]
    await expect(page.locator(".chip .name")).to_have_text([*names, "Analysis: booked", "Usage", "Hung up"])
    await expect(page.locator(".bubble.backchannel .meta")).to_contain_text("caller_2")
    await expect(page.locator(".chip", has_text="Usage")).to_contain_text("1,200 tokens in")


async def test_the_title_of_the_tab_names_the_page_it_shows(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("call-1", metadata={"bot": "Ada"})
    await say(gateway, "call-1", {"event": "error"}, type="system")
    page = await open_page(gateway.url)
    await expect(page).to_have_title("(1) Calls · Turnwire")
    await page.get_by_role("link", name="Ada").click()
    await expect(page).to_have_title("● Ada · Turnwire")
    await gateway.post("/sessions/call-1/complete", {"reason": "user_hangup"})
    await expect(page).to_have_title("Ada · Turnwire")
    await expect(page.locator(".call-head")).to_contain_text("user_hangup")


async def test_keyboard_shortcuts_control_playback_and_are_listed(gateway: Gateway, open_page: OpenPage) -> None:
    await have_calls(gateway)
    page = await open_page(f"{gateway.url}/#/s/done")
    await expect(page.locator(".bubble").first).to_be_visible()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Replay")).to_be_visible()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog).to_contain_text("play or pause the call")
    await check_access(page)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert "/s/done" in page.url
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("table", name="Calls")).to_be_visible()


async def test_alerts_announce_calls_that_fail_stall_or_have_errors(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("erred-before")
    await say(gateway, "erred-before", {"event": "error"}, type="system")
    page = await open_page(gateway.url, fake_clock=True)
    await expect(page.locator(".reason")).to_have_text("error")
    await page.get_by_role("button", name="Alerts: off").click()
    for rule in ("is stalled", "has an error", "call fails"):
        await page.get_by_label(rule).check()
    await page.get_by_label("a sound").uncheck()
    await check_access(page)
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await page.reload()
    await expect(page.get_by_role("button", name="Alerts: on")).to_be_visible()
    toast = page.locator(".toast")
    async with AsyncExitStack() as calls:
        for name in ("waits", "errs"):
            call = await calls.enter_async_context(Publisher(gateway.url, name))
            await call.send("user_speech", {"text": "Hello?"})
            await call.flush(timeout=30)
        await expect(page.locator(".call-row")).to_have_count(3)
        await page.clock.fast_forward(1_000)
        await call.send("system", {"event": "error"})
        await expect(page.locator(".reason")).to_have_count(2)
        await page.clock.fast_forward(1_000)
        await expect(toast).to_contain_text("errs")
        await call.complete(status="failed", reason="no_line")
    await expect(toast).to_contain_text("no_line")
    await page.clock.fast_forward(10_000)
    await page.clock.fast_forward(1_000)
    await expect(toast).to_contain_text("waits")
    await page.get_by_role("button", name="Alerts: on").click()
    await expect(page.get_by_role("dialog").locator("li")).to_have_count(3)
    assert "erred-before" not in (await page.get_by_role("dialog").inner_text())


HEARD = """
  globalThis.notes = [];
  globalThis.tones = 0;
  globalThis.Notification = class {
    static permission = "default";
    static async requestPermission() { return (this.permission = "granted"); }
    constructor(text, { body }) { notes.push(`${body}: ${text}`); }
  };
  AudioScheduledSourceNode.prototype.start = () => { tones += 1; };
  AudioScheduledSourceNode.prototype.stop = () => {};"""


async def test_a_slow_call_is_announced_by_a_sound_and_a_desktop_notification(
    gateway: Gateway, open_page: OpenPage
) -> None:
    page = await open_page(gateway.url, fake_clock=True)
    await page.add_init_script(HEARD)
    await page.reload()
    await page.get_by_role("button", name="Alerts: off").click()
    await page.get_by_label("responses take longer than").check()
    await page.get_by_label("Seconds").fill("0.8")
    await page.get_by_label("Seconds").press("Tab")
    await page.get_by_label("a desktop notification").check()
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    for name, began in (("fast", 1500), ("slow", 1900)):
        await gateway.create(name)
        await say(gateway, name, {"text": "Hello?", "startedMs": 0, "endedMs": 1000})
        await say(gateway, name, {"text": "Yes?", "startedMs": began, "endedMs": 2500}, type="bot_speech")
        await expect(page.locator(".call-row", has_text=name)).to_contain_text("Yes?")
        await page.clock.fast_forward(1_000)
    await expect(page.locator(".toast")).to_contain_text("p95 over 0.8 s")
    assert await page.evaluate("[notes, tones]") == [["slow: p95 over 0.8 s"], 2]


async def test_a_call_without_a_connected_bot_can_be_ended_from_the_page(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("call-1")
    page = await open_page(f"{gateway.url}/#/s/call-1")
    await page.get_by_role("button", name="End the call …").click()
    await page.get_by_label("Reason").fill("left open")
    await page.get_by_label("End it as").select_option("failed")
    await page.get_by_role("button", name="End the call", exact=True).click()
    await expect(page.locator(".call-head .badge")).to_have_text("failed")
    await expect(page.get_by_role("button", name="End the call …")).to_have_count(0)
    assert (await gateway.get("/sessions/call-1"))["endReason"] == "left open"


@pytest.mark.parametrize("size", [WIDE, NARROWEST], ids=["1440", "360"])
async def test_two_calls_are_compared_on_one_time_axis(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int]
) -> None:
    await have_calls(gateway)
    page = await open_page(f"{gateway.url}/#/s/done", size=size)
    if size is NARROWEST:
        await page.get_by_role("button", name="figures").click()
    await page.get_by_label("Compare with").fill("talk")
    await page.get_by_label("Compare with").press("Enter")
    await expect(page).to_have_title("Bot of done | Bot of talk · Turnwire")
    axes = page.get_by_role("img", name="Who spoke when")
    await expect(axes).to_have_count(2)
    first, second = [
        re.search(r"over [\d:]+", await axis.get_attribute("aria-label") or "") for axis in await axes.all()
    ]
    assert first
    assert second
    assert first[0] == second[0]
    await expect(page.locator(".transcript-pane")).to_have_count(1 if size is NARROWEST else 2)
    await expect(page.locator(".compare-table")).to_contain_text("900 ms")
    await expect(page.locator(".transcript-pane").last).to_contain_text("Sorry!")
    await check_access(page)


async def test_text_and_links_to_moments_can_be_copied(gateway: Gateway, open_page: OpenPage) -> None:
    await have_calls(gateway)
    page = await open_page(f"{gateway.url}/#/s/done", permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy transcript").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "User: =1+1, please\n" in await copied(page)
    slider = page.get_by_label("Place in the call")
    await slider.fill("4500")
    await page.get_by_role("button", name="Copy link").click()
    await expect(page.get_by_role("button", name="Copied")).to_have_count(2)
    link = await copied(page)
    assert link == f"{gateway.url}/#/s/done?at=4.5"
    other = await open_page(link)
    await expect(other.locator(".player .where")).to_have_text(re.compile("^0:04 / "))
    await expect(other.locator(".bubble").last).to_contain_text("=1+1, please")


async def copied(page: Page) -> str:
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


@PHONES
async def test_on_a_phone_every_reason_is_shown_or_counted_and_calls_are_distinguishable(
    gateway: Gateway, open_page: OpenPage, size: dict[str, int]
) -> None:
    await gateway.create("call-1", metadata={"bot": "A" * 256})
    payloads = [{"text": "x", "turn": turn, "interrupted": True} for turn in range(3)]
    await say(gateway, "call-1", *payloads, type="bot_speech")
    await say(gateway, "call-1", {"event": "error"}, {"event": "tool.failed"}, type="system")
    await say(gateway, "call-1", {"text": "Hello?"})
    page = await open_page(gateway.url, size=size, fake_clock=True)
    await expect(page.locator(".call-row")).to_contain_text("Hello?")
    await page.clock.fast_forward(12_000)
    await expect(page.locator(".reason")).to_have_text(["stalled", "tool error", re.compile(r"^\s*\+2")])
    for shown in (".reason.more", ".call-row .id", ".call-row .started", ".call-row .lasted"):
        await expect(page.locator(shown)).to_be_in_viewport(ratio=1)
    await check_size(page)
    for link in await page.get_by_label("Pages").get_by_role("link").all():
        await link.click(trial=True)  # no other element covers it


@pytest.mark.parametrize(("locale", "halves"), [("en-US", True), ("de-DE", False)])
async def test_all_times_are_shown_in_the_browsers_time_zone(
    gateway: Gateway, open_page: OpenPage, locale: str, halves: bool
) -> None:
    await have_calls(gateway)
    page = await open_page(gateway.url, locale=locale)
    half = re.compile("[AP]M")
    times = [await page.locator(".call-row .started time").first.inner_text()]
    await page.locator(".call-link").last.click()
    times += [
        await page.locator(".since time").first.inner_text(),
        await page.locator(".details time").first.inner_text(),
    ]
    times += await page.locator(".bubble .clock").all_inner_texts()
    times.append(await page.evaluate("import('./static/data/times.js').then(({ clock }) => clock(0))"))
    assert {bool(half.search(time)) for time in times} == {halves}


async def test_the_page_asks_for_a_token_if_the_gateway_requires_one(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("call-1")
    page = await open_page(f"{gateway.url}/health/live", allowed=("401",))
    await page.add_init_script("""
      const Real = WebSocket;
      globalThis.asked = [];
      globalThis.WebSocket = class extends Real {
        constructor(url, protocols) { super(url, protocols); asked.push(protocols); }
      };""")

    async def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer good.one":
            await route.continue_()
        else:
            await route.fulfill(status=401, body='{"message": "who are you?"}', content_type="application/json")

    await page.route("**/sessions*", guard)
    await page.goto(gateway.url)
    await expect(page.get_by_role("heading", name="Log in to this gateway")).to_be_visible()
    await check_access(page)
    await page.get_by_label("Token").fill("bad")
    await page.get_by_label("Token").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("did not accept the token")
    await page.get_by_label("Token").fill("good.one")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator(".call-row")).to_have_count(1)
    assert await page.evaluate("asked") == [["turnwire.v1.json", "turnwire.bearer.good.one"]]
    await page.evaluate("sessionStorage.clear()")
    await page.goto("about:blank")
    await page.goto(f"{gateway.url}/#token=good.one")
    await expect(page.locator(".call-row")).to_have_count(1)
    assert page.url == f"{gateway.url}/#/"
