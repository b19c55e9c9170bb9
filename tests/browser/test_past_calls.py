"""The list of past calls: a window onto the gateway's order, filtered by the gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_using_the_page import have_calls
from tests.support.gateways import Gateway, new_event

AT_ONCE = 8
ALL_IDS = """async (last) => {
  const list = document.querySelector(".call-scroller");
  const seen = new Set();
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  for (let still = 0; still < 600; still += 1) {
    const before = seen.size;
    for (const link of list.querySelectorAll("[data-call]")) seen.add(link.dataset.call);
    if (seen.has(last)) break;
    if (seen.size > before) still = 0;
    if (!list.querySelector(".gap")) list.scrollTop += (last === "call-0000" ? 1 : -1) * 500;
    await frame();
  }
  return [...seen];
}"""


async def end_calls(gateway: Gateway, numbers: range, **fields: Any) -> None:
    """Calls that have ended, the ones with lower numbers before the others."""

    async def end(number: int) -> None:
        await gateway.create(f"call-{number:04}", **fields)
        status = "failed" if number < 76 else "completed"
        await gateway.post(f"/sessions/call-{number:04}/complete", {"status": status})

    for first in range(numbers.start, numbers.stop, AT_ONCE):
        await asyncio.gather(*(end(number) for number in range(first, min(first + AT_ONCE, numbers.stop))))


@pytest.mark.timeout(300)
async def test_scrolling_reaches_the_oldest_call_and_comes_back_without_a_hole(
    gateway: Gateway, open_page: OpenPage
) -> None:
    for first, end in itertools.pairwise((0, 1, 1499, 1500)):  # within a range they begin in any order
        await end_calls(gateway, range(first, end))
    page = await open_page(gateway.url)
    # How far the gateway counts in the time it has depends on the machine.
    await expect(page.locator(".group h2.recent")).to_have_text(re.compile(r"Recent [1-9][\d,]*\+"))
    every = {f"call-{number:04}" for number in range(1500)}
    down = await page.evaluate(ALL_IDS, "call-0000")
    assert set(down) == every
    await expect(page.locator(".group h2.recent")).to_have_count(0)  # only visible rows are drawn
    up = await page.evaluate(ALL_IDS, "call-1499")
    assert set(up) == every
    await expect(page.locator(".group h2.recent")).to_have_text("Recent 1,500")
    assert await page.locator(".call-row").count() < 80
    await page.locator('[data-call="call-1499"]').press("End")
    await expect(page.locator('[data-call="call-0000"]')).to_be_focused()
    await page.get_by_role("button", name="Newest").click()
    await expect(page.locator('[data-call="call-1499"]')).to_be_focused()
    await expect(page.get_by_role("button", name="Newest")).to_have_count(0)


async def test_filters_apply_to_all_calls_and_are_kept_in_the_address(gateway: Gateway, open_page: OpenPage) -> None:
    await end_calls(gateway, range(200))
    await end_calls(gateway, range(200, 203), language="de")
    page = await open_page(gateway.url)
    await page.get_by_label("State").select_option("failed")
    await expect(page.locator(".group h2.recent")).to_have_text("Recent 76")
    await page.get_by_label("State").select_option("")
    await page.get_by_label("Language").select_option("de")
    await expect(page.locator(".call-link")).to_have_text(["call-0202", "call-0201", "call-0200"])
    assert page.url.endswith("/#/?language=de")
    await page.reload()
    await expect(page.locator(".call-row")).to_have_count(3)
    await page.locator(".call-link").first.click()
    await page.get_by_role("link", name="Back to the calls").click()
    await expect(page.locator(".call-row")).to_have_count(3)
    await page.locator(".more-filters summary").click()
    await page.get_by_label("To", exact=True).fill("2025-12-21")
    await expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
    await page.get_by_role("button", name="Clear the filters").click()
    await expect(page.locator(".group h2.recent")).to_have_text("Recent 203")


async def test_the_oldest_calls_may_come_first_and_calls_that_end_come_last(
    gateway: Gateway, open_page: OpenPage
) -> None:
    for first, end in itertools.pairwise((0, 1, 109, 110)):  # within a range they begin in any order
        await end_calls(gateway, range(first, end))
    page = await open_page(gateway.url)
    links = page.locator(".call-link")
    await page.get_by_label("Order").select_option("Oldest first")
    await expect(links.first).to_have_text("call-0000")
    await expect(page.locator(".group h2")).to_have_text("Past 110")
    assert page.url.endswith("/#/?order=asc")
    await page.reload()
    await expect(links.first).to_have_text("call-0000")
    scroll = "(list) => list.scrollTo(0, list.scrollHeight)"
    await page.locator(".call-scroller").evaluate(scroll)  # reads the second page
    table = page.get_by_role("table", name="Calls")
    await expect(table).to_have_attribute("aria-rowcount", "110")
    await end_calls(gateway, range(110, 111))
    await expect(table).to_have_attribute("aria-rowcount", "111")
    await page.locator(".call-scroller").evaluate(scroll)
    await expect(links.last).to_have_text("call-0110")


async def test_past_calls_show_their_own_figures_without_a_request_for_each(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await have_calls(gateway)
    await gateway.post("/sessions/talk/complete", {})
    page = await open_page(f"{gateway.url}/health/live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(gateway.url)
    row = page.locator(".call-row", has=page.get_by_role("link", name="Bot of done"))
    await expect(row.locator(".latency")).to_have_text("response 900 ms p95")
    await expect(row.locator(".turns")).to_have_text("turns 5, interrupted ✂ 1")
    await expect(row.locator(".said")).to_contain_text("Sorry!")
    await gateway.post("/sessions/talk-2/complete", {})
    await expect(page.locator(".call-row.ended")).to_have_count(3)
    await expect(page.locator(".call-row.ended .p95")).to_have_count(3)
    assert [url for url in asked if "/stats" in url] == []


async def test_live_calls_do_not_count_as_recent_calls(gateway: Gateway, open_page: OpenPage) -> None:
    await end_calls(gateway, range(120))
    for number in range(5):
        await gateway.create(f"live-{number}")
    page = await open_page(gateway.url)
    await expect(page.locator(".group h2").last).to_have_text("Recent 120")
    await gateway.post("/sessions/live-0/complete", {})
    await expect(page.locator(".group h2").last).to_have_text("Recent 121")


async def test_a_search_for_punctuation_alone_is_not_sent(gateway: Gateway, open_page: OpenPage) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(gateway.url)
    search = page.get_by_label("Search calls")
    await search.fill("0002")
    await expect(page.locator(".call-row")).to_have_count(1)
    await search.fill("(")
    await expect(page.locator(".call-row")).to_have_count(3)
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_search_continues_through_older_calls_by_itself(gateway: Gateway, open_page: OpenPage) -> None:
    await gateway.create("first-ever", metadata={"customer": "Zaphod"})
    await gateway.post("/sessions/first-ever/complete", {})
    await end_calls(gateway, range(250))
    page = await open_page(gateway.url)
    await page.get_by_label("Search calls").fill("zaphod")
    await expect(page.locator(".call-link")).to_have_text(["first-ever"])


async def test_the_page_offers_the_filters_that_the_gateways_openapi_document_lists(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(gateway.url)
    asked: list[str] = []

    async def describe(route: Route) -> None:
        described = await gateway.get("/openapi.json")
        names = ("q", "endReason", "hasErrors", "minResponseP95Ms", "countUpTo")
        described["paths"]["/sessions"]["get"]["parameters"] += [{"name": name, "in": "query"} for name in names]
        await route.fulfill(body=json.dumps(described), content_type="application/json")

    async def answer(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        sessions = [] if "q=" in asked[-1] else (await gateway.get("/sessions"))["sessions"]
        found = {"sessions": sessions, "nextCursor": None, "count": {"value": 1000, "exact": False}}
        await route.fulfill(body=json.dumps(found), content_type="application/json")

    await page.route("**/openapi.json", describe)
    await page.route("**/sessions?*", answer)
    async with page.expect_request(re.compile("countUpTo=1000")):
        await page.reload()
    await expect(page.locator(".group h2.recent")).to_have_text("Recent 3")
    await page.locator(".more-filters summary").click()
    await page.get_by_label("with errors").press(" ")  # not by the mouse: the list may come and move it
    await expect(page.get_by_label("with errors")).to_be_checked()
    await page.get_by_label("p95 over").fill("1.5")
    await page.get_by_label("End reason").fill("hang up")
    await page.get_by_label("Bot", exact=True).fill("Ada")
    await page.get_by_label("Search calls").fill("breakfast")
    await expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
    wanted = (
        "q=breakfast&endReason=hang+up&metadata.bot=Ada&hasErrors=true&minResponseP95Ms=1500&minDurationMs=0"
        "&countUpTo=1000&limit=100"
    )
    assert asked[-1] == wanted


async def test_past_calls_are_not_requested_before_the_filters_of_the_gateway_are_known(
    gateway: Gateway, open_page: OpenPage
) -> None:
    """Otherwise the list would begin again under the reader's hands."""
    await end_calls(gateway, range(3))
    page = await open_page(f"{gateway.url}/health/live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/sessions?" in request.url else None)
    described = asyncio.Event()

    async def describe_late(route: Route) -> None:
        await described.wait()
        await route.continue_()

    await page.route("**/openapi.json", describe_late)
    await page.goto(f"{gateway.url}/#/?order=asc")
    await expect(page.locator(".connection")).to_have_text("LIVE")
    assert asked == []
    described.set()
    await expect(page.locator(".call-row")).to_have_count(3)
    assert [url for url in asked if "order=asc" not in url] == []


async def test_past_calls_are_requested_without_a_description_of_the_gateway(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(f"{gateway.url}/health/live", allowed=("404",))
    await page.route("**/openapi.json", lambda route: route.fulfill(status=404))
    await page.goto(gateway.url)
    await expect(page.locator(".call-row")).to_have_count(3)


@pytest.mark.parametrize("first", ["show", "reload"])
async def test_a_page_wanted_during_another_request_is_read_after_it(
    gateway: Gateway, open_page: OpenPage, first: str
) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(f"{gateway.url}/docs", allowed=("503",))
    answers = iter(range(3))

    async def refuse_the_first(route: Route) -> None:
        if next(answers) == 0:
            await route.fulfill(status=503, body='{"message": "no storage"}', content_type="application/json")
        else:
            await route.continue_()

    await page.route("**/sessions?*", refuse_the_first)
    script = """async (first) => {
      const { PastCalls } = await import("./static/data/past_calls.js");
      const past = new PastCalls();
      const filter = { query: { status: "failed" }, compare: () => 0 };
      if (first === "reload") {
        past.filter = filter;
        past.pages = [{ cursor: null, rows: null, count: 3, last: null }];
        past.reload(0);
      } else past.show(filter);
      past.loadNext();
      const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
      for (let left = 150; left > 0 && !past.loaded; left -= 1) await pause();
      return [past.failure, past.pages.at(-1)?.rows?.length];
    }"""
    assert await page.evaluate(script, first) == [None, 3]


async def test_a_call_that_ends_is_listed_in_its_place_among_past_calls(gateway: Gateway, open_page: OpenPage) -> None:
    for name in ("old", "mid", "new"):
        await gateway.create(name)
    await gateway.post("/sessions/old/complete", {})
    await gateway.post("/sessions/new/complete", {})
    page = await open_page(f"{gateway.url}/#/?status=completed")
    links = page.locator(".call-link")
    await expect(links).to_have_text(["new", "old"])
    await expect(page.locator(".connection")).to_have_text("LIVE")
    await gateway.post("/sessions/mid/complete", {})
    await expect(links).to_have_text(["new", "mid", "old"])
    await gateway.create("newest")
    await gateway.post("/sessions/newest/events", new_event("e1", {"text": "Hi"}), status=201)
    await gateway.post("/sessions/newest/complete", {})
    await expect(links).to_have_text(["newest", "new", "mid", "old"])


async def test_a_list_of_past_calls_that_could_not_be_read_is_requested_again(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(f"{gateway.url}/health/live", allowed=("503", "ERR_FAILED"))

    async def refuse_until_the_click(route: Route) -> None:
        if await page.evaluate("window.clicked === true"):
            await route.continue_()
        else:
            await route.fulfill(status=503, body='{"message": "no storage"}', content_type="application/json")

    await page.add_init_script(
        "addEventListener('click', (event) => { window.clicked ||= event.target.closest('button') !== null; }, true);"
    )
    await page.route("**/sessions?*", refuse_until_the_click)
    await page.goto(gateway.url)
    await expect(page.get_by_role("alert")).to_have_text("no storage")
    await expect(page.locator(".group h2.recent")).to_have_text(re.compile(r"^Recent\s*$"))  # not known to be none
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".call-row")).to_have_count(3)
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.route("**/sessions?*", lambda route: route.abort())
    await page.get_by_label("State").select_option("failed")
    await expect(page.get_by_role("alert")).to_have_text("The gateway cannot be reached.")


async def test_a_list_that_could_not_be_read_is_read_when_the_network_is_back(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await end_calls(gateway, range(3))
    page = await open_page(f"{gateway.url}/health/live", allowed=("ERR_INTERNET_DISCONNECTED",))
    await page.route("**/sessions?*", lambda route: route.abort("internetdisconnected"))
    await page.goto(gateway.url)
    await expect(page.get_by_role("alert")).to_have_count(1)
    await expect(page.locator(".connection")).to_have_text("LIVE")
    await page.unroute("**/sessions?*")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".call-row")).to_have_count(3)
    await expect(page.get_by_role("alert")).to_have_count(0)
