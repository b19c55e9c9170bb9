"""Measures the dashboard with very many calls: `python -m bench.page --calls 100000 --live 1000`.

Opens the page in a real browser on a gateway with this many ended calls, scrolls from the newest to the oldest and
back, and then watches this many live ones. Prints what was seen and what it cost. Needs chromium.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.async_api import CDPSession, Page, async_playwright, expect

from bench.past_calls import make_calls, serving
from turnwire import Publisher
from turnwire.store.search.tables import FILE_NAME

_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_PAUSE = 4.0
"""Seconds between two events of a live call."""
_WATCHED = 10.0
"""Seconds for which the work of the page is measured."""
_PATIENCE_MS = 120_000

SCROLL = """async ([last, step]) => {
  const list = document.querySelector(".call-scroller");
  const seen = new Set();
  let [most, slowest] = [0, 0];
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  for (let still = 0; still < 2000; still += 1) {
    const [before, began] = [seen.size, performance.now()];
    for (const link of list.querySelectorAll('[data-call^="call-"]')) seen.add(link.dataset.call);
    if (seen.has(last)) break;
    if (seen.size > before) still = 0;
    if (!list.querySelector(".gap")) list.scrollTop += step;
    await frame();
    most = Math.max(most, list.querySelectorAll(".call-row").length);
    slowest = Math.max(slowest, performance.now() - began);
  }
  return [seen.size, most, Math.round(slowest)];
}"""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Page, CDPSession]]:
    path = os.environ.get("TURNWIRE_CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(_PATIENCE_MS)
        tools = await page.context.new_cdp_session(page)
        await tools.send("Performance.enable")
        await page.goto(url)
        yield page, tools
        await browser.close()


async def figures(tools: CDPSession) -> dict[str, float]:
    """Return the browser's figures of the page, among them JSHeapUsedSize (bytes) and TaskDuration (seconds)."""
    await tools.send("HeapProfiler.collectGarbage")
    answer: dict[str, Any] = await tools.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in answer["metrics"]}


async def scroll(page: Page, tools: CDPSession, calls: int) -> None:
    first, newest = "call-00000000", f"call-{calls - 1:08d}"
    await expect(page.locator(f'[data-call="{newest}"]')).to_be_visible(timeout=_PATIENCE_MS)
    for name, last, step in (("to the first call", first, 700), ("back to the newest", newest, -700)):
        before, began = await figures(tools), time.perf_counter()
        seen, drawn, slowest = await page.evaluate(SCROLL, [last, step])
        took, after = time.perf_counter() - began, await figures(tools)
        heap = [round(each["JSHeapUsedSize"] / 2**20) for each in (before, after)]
        print(
            f"{name}: {seen:,} of {calls:,} calls seen in {took:.0f} s; {drawn} rows drawn at most; slowest step "
            f"{slowest} ms; heap {heap[0]} -> {heap[1]} MiB"
        )
        assert seen == calls, "there is a hole"


async def watch(page: Page, tools: CDPSession, url: str, live: int) -> None:
    stop = asyncio.Event()

    async def call(number: int) -> None:
        async with Publisher(url, f"live-{number:05d}", "en") as bot:
            for turn in range(10_000):
                await bot.send("user_speech", {"text": f"caller {number} says {turn}", "turn": turn})
                try:
                    async with asyncio.timeout(_PAUSE):
                        await stop.wait()
                    return
                except TimeoutError:
                    pass

    async with asyncio.TaskGroup() as bots:
        for number in range(live):
            bots.create_task(call(number))
        counted = "live => Number(document.querySelector('.count strong').textContent.replace(/\\D/g, '')) >= live"
        await page.wait_for_function(counted, arg=live, timeout=_PATIENCE_MS)
        before, began = await figures(tools), time.perf_counter()
        await asyncio.sleep(_WATCHED)
        after, took = await figures(tools), time.perf_counter() - began
        busy = (after["TaskDuration"] - before["TaskDuration"]) / took
        drawn = await page.locator(".call-row").count()
        began = time.perf_counter()
        await page.get_by_label("Search calls").fill(f"live-{live // 2:05d}")
        await expect(page.locator(".call-row")).to_have_count(1, timeout=_PATIENCE_MS)
        found = time.perf_counter() - began
        heap = round(after["JSHeapUsedSize"] / 2**20)
        print(
            f"{live:,} live calls: the page works {100 * busy:.0f} % of the time; {drawn} rows drawn; one is found in "
            f"{1000 * found:.0f} ms; heap {heap} MiB"
        )
        stop.set()


async def _run(place: Path, calls: int, live: int) -> None:
    if not (place / FILE_NAME).exists():
        await make_calls(place, calls)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(place))
        page, tools = await stack.enter_async_context(opened(f"{url}/"))
        await scroll(page, tools, calls)
        if live:
            await watch(page, tools, url, live)


def main(
    calls: Annotated[int, typer.Option(min=1000, help="Ended calls.")] = 100_000,
    live: Annotated[int, typer.Option(min=0, help="Live calls.")] = 1000,
    folder: Annotated[Path | None, typer.Option(help="A folder of `bench.past_calls` to reuse.")] = None,
) -> None:
    """Scroll through very many calls, and watch very many live ones."""
    place = folder or Path(tempfile.mkdtemp(prefix="turnwire-page-"))
    try:
        asyncio.run(_run(place, calls, live))
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
