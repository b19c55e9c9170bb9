"""The code in docs/adapters runs as it stands. `make adapters` runs the code for frameworks, inside the frameworks."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

import pytest

from tests.adapters import openai_script
from tests.adapters.page_code import PAGES, blocks_of, run_page
from tests.adapters.vendor_messages import DEEPGRAM, RETELL_TRANSCRIPT, VAPI_CALL, retell
from tests.support.gateways import Gateway
from turnwire import Client

Item = TypeVar("Item")
NAMES = sorted(path.stem for path in PAGES.glob("*.md"))


async def streamed(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item


async def texts(gateway: Gateway, session_id: str) -> list[str]:
    async with Client(gateway.url) as client:
        return [event.payload["text"] async for event in client.export(session_id) if "text" in event.payload]


async def test_the_code_in_openai_realtime_md_publishes_a_call(gateway: Gateway) -> None:
    events = [message for _, message in openai_script.one_exchange()]
    await run_page("openai-realtime", connection=streamed(events), call_id="call-1", gateway=gateway.url)
    assert sorted(await texts(gateway, "call-1")) == ["Are you open?", openai_script.ANSWER]


async def test_the_code_in_deepgram_md_publishes_a_call(gateway: Gateway) -> None:
    messages: list[Any] = [message for _, message in DEEPGRAM]
    await run_page("deepgram", connection=streamed([*messages, bytes(480)]), call_id="call-1", gateway=gateway.url)
    assert await texts(gateway, "call-1") == ["Are you open?", "Yes, until six. Shall I book a table?"]


async def test_the_code_in_twilio_md_publishes_a_call(gateway: Gateway) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "setup", "callSid": "CA1"}

    def answers_to(message: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"type": "text", "token": "Yes, until six.", "last": True}]

    prompt = {"type": "prompt", "voicePrompt": "Are you open?", "last": True}
    await run_page("twilio", receive=receive, messages=streamed([prompt]), answers_to=answers_to, gateway=gateway.url)
    assert await texts(gateway, "CA1") == ["Are you open?", "Yes, until six."]


async def test_the_code_in_vapi_md_stores_a_webhook(gateway: Gateway) -> None:
    await run_page("vapi", body=VAPI_CALL[3], gateway=gateway.url)
    assert await texts(gateway, "call-vapi") == ["Is there a table?"]


async def test_the_code_in_retell_md_stores_a_webhook(gateway: Gateway) -> None:
    await run_page("retell", body=retell("call_ended", RETELL_TRANSCRIPT), gateway=gateway.url)
    assert len(await texts(gateway, "call-retell")) == 4


@pytest.mark.parametrize("page", NAMES)
def test_the_code_of_every_adapter_page_compiles(page: str) -> None:
    for block in blocks_of(page):
        compile(block, f"{page}.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", NAMES)
def test_every_link_of_the_adapter_pages_leads_somewhere(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (PAGES / target).exists(), target


def test_every_adapter_has_its_page() -> None:
    linked = re.findall(r"\]\(([a-z-]+)\.md\)", (PAGES / "README.md").read_text(encoding="utf-8"))
    assert sorted(set(linked)) == [name for name in NAMES if name != "README"]
