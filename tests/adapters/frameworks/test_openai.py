"""OpenAI's own SDKs: their types accept our scripts, and the Agents SDK passes on what its server says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents.realtime import (
    OpenAIRealtimeWebSocketModel,
    RealtimeAgent,
    RealtimeRunner,
    realtime_handoff,
)
from agents.tool import function_tool
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.server import ServerConnection, serve

from tests.adapters import openai_script as script
from tests.adapters.frameworks.gateway import Gateway
from tests.adapters.frameworks.waiting import until
from tests.adapters.mapping import Clock, mapped
from tests.adapters.page_code import run_page
from tests.adapters.recorder import Recorder
from turnwire import Client, errors
from turnwire.adapters.openai_agents import listen
from turnwire.adapters.openai_realtime import RealtimeMapper

WHOLE: script.Script = [
    *script.one_exchange(),
    *script.barge_in(),
    (6.0, script.function_call(50, "resp_1")),
    (6.5, script.function_output(51)),
]


def test_events_of_the_openai_sdk_are_mapped_like_plain_messages() -> None:
    typed = TypeAdapter(RealtimeServerEvent)
    objects = [(at, typed.validate_python(message, strict=False)) for at, message in WHOLE]
    assert {type(one).__name__ for _, one in objects} >= {"ResponseAudioDeltaEvent", "ConversationItemTruncatedEvent"}
    clock, other = Clock(), Clock()
    assert (
        mapped(RealtimeMapper(clock=clock), clock, objects).items
        == mapped(RealtimeMapper(clock=other), other, WHOLE).items
    )


class Server:
    """A local Realtime server that sends what a test tells it to send."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self._connection: ServerConnection | None = None
        self.connected = asyncio.Event()

    async def handle(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.connected.set()
        async for text in connection:
            message = json.loads(text)
            self.received.append(message)
            if message["type"] == "conversation.item.create":
                item = {**message["item"], "id": f"item_{len(self.received)}", "status": "completed"}
                await self.say(script.event("conversation.item.added", 200, previous_item_id=None, item=item))

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """What the client has sent of this type."""
        return [message for message in self.received if message["type"] == kind]

    async def say(self, *messages: script.Message) -> None:
        assert self._connection is not None
        for message in messages:
            await self._connection.send(json.dumps(message))

    async def hang_up(self) -> None:
        assert self._connection is not None
        await self._connection.close()


class Watched(Recorder):
    """Notes for which reasons the call was to be ended."""

    def __init__(self) -> None:
        super().__init__()
        self.hung_up: list[str] = []

    async def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)


@asynccontextmanager
async def talking(agent: RealtimeAgent[None]) -> AsyncIterator[tuple[Server, Watched]]:
    """A session of the Agents SDK with its real model, connected to the local server."""
    server, told = Server(), Watched()
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        model = OpenAIRealtimeWebSocketModel()
        session = await RealtimeRunner(agent, model=model).run(
            model_config={"api_key": "none", "url": f"ws://127.0.0.1:{port}"}
        )
        told_of_session = listen(session.model, told, hang_up=told.hang_up)
        async with session:

            async def consume() -> None:
                async for event in session:
                    told_of_session(event)

            consuming = asyncio.create_task(consume())
            await server.connected.wait()
            await server.say(script.created())
            yield server, told
            consuming.cancel()


@function_tool
def free_tables(day: str) -> str:
    """Which tables are free."""
    if day == "broken":
        raise ValueError("no such table")
    return '{"free": ["18:00"]}'


async def test_speech_in_the_agents_sdk_is_published() -> None:
    async with talking(RealtimeAgent(name="Reception")) as (server, told):
        for _, message in [*script.one_exchange()[1:], *script.barge_in()]:
            await server.say(message)
        await until(lambda: len(told.payloads("user_speech")) == 2)
    assert [one["text"] for one in told.payloads("user_speech")] == ["Are you open?", "No, thanks."]
    assert [one["text"] for one in told.payloads("bot_speech")] == [script.ANSWER]
    assert told.payloads("interruption")


async def test_a_function_run_by_the_agents_sdk_is_published_with_its_result() -> None:
    async with talking(RealtimeAgent(name="Reception", tools=[free_tables])) as (server, told):
        await server.say(script.function_call(50, "resp_1"))
        await until(lambda: told.payloads("tool.completed"))
    (started,), (completed,) = told.payloads("tool.started"), told.payloads("tool.completed")
    assert (started["name"], started["arguments"]) == ("free_tables", {"day": "today"})
    assert (completed["callId"], completed["result"]) == ("call_1", {"free": ["18:00"]})


async def test_a_handoff_names_both_agents() -> None:
    billing: RealtimeAgent[None] = RealtimeAgent(name="Billing")
    reception = RealtimeAgent(name="Reception", handoffs=[realtime_handoff(billing)])
    async with talking(reception) as (server, told):
        call = script.function_call(50, "resp_1")
        call["item"].update(name="transfer_to_billing", arguments="{}")
        await server.say(call)
        await until(lambda: told.payloads("handoff"))
    assert told.payloads("handoff") == [{"event": "handoff", "from": "Reception", "to": "Billing"}]


@pytest.mark.parametrize("running", [True, False])
async def test_open_utterances_and_tools_end_when_the_server_hangs_up(running: bool) -> None:
    async with talking(RealtimeAgent(name="Reception")) as (server, told):
        if running:
            await server.say(script.function_call(50, "resp_1"))
            await until(lambda: told.payloads("tool.started"))
        await server.hang_up()
        await until(lambda: told.payloads("call.ended"))
    assert told.payloads("call.ended") == [{"event": "call.ended", "reason": "disconnected"}]
    assert len(told.payloads("tool.cancelled", "tool.completed")) == running


async def test_supervisors_whisper_and_speak_by_the_agents_sdk_and_end_the_call() -> None:
    async with talking(RealtimeAgent(name="Reception")) as (server, told):
        await told.asked("whisper", text="offer 10 %")
        saying = asyncio.create_task(told.asked("say", text="One moment."))
        await until(lambda: server.sent("response.create"))
        (item,) = server.sent("conversation.item.create")
        assert (item["item"]["role"], item["item"]["content"][0]["text"]) == ("system", "offer 10 %")
        asked = server.sent("response.create")[0]["response"]
        assert "One moment." in asked["instructions"]
        metadata = asked["metadata"]
        await server.say(
            script.response("response.created", 60, "resp_s", status="in_progress", metadata=metadata),
            script.done(61, "resp_s", metadata=metadata),
        )
        assert await asyncio.wait_for(saying, 10) is None
        await asyncio.wait_for(told.asked("end", reason="shift over"), 10)
    assert told.hung_up == ["shift over"]


async def test_a_supervisor_interrupts_as_the_agents_sdk_does() -> None:
    async with talking(RealtimeAgent(name="Reception")) as (server, told):
        for _, message in script.one_exchange()[1:6]:
            await server.say(message)
        await until(lambda: told.hints("bot_speech"))
        await told.asked("whisper", text="stop", interrupt=True)
        await until(lambda: server.sent("conversation.item.create"))
    assert server.sent("response.cancel") or server.sent("conversation.item.truncate")


class Runner:
    """A RealtimeRunner whose sessions connect to the local server."""

    def __init__(self, port: int) -> None:
        self._runner = RealtimeRunner(RealtimeAgent(name="Reception"), model=OpenAIRealtimeWebSocketModel())
        self._config = {"api_key": "none", "url": f"ws://127.0.0.1:{port}"}

    async def run(self) -> Any:
        return await self._runner.run(model_config=self._config)


async def test_the_code_in_openai_agents_md_runs(gateway: Gateway, session_id: str) -> None:
    server = Server()
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        page = asyncio.create_task(
            run_page("openai-agents", runner=Runner(port), call_id=session_id, gateway=gateway.url)
        )
        await server.connected.wait()
        await until(lambda: server.received)  # the session's configuration arrives once it is connected
        await server.say(*(message for _, message in script.one_exchange()))
        async with asyncio.timeout(10):
            while len(await texts(gateway, session_id)) < 2:
                await asyncio.sleep(0.05)
        await server.hang_up()
        await asyncio.wait_for(page, 10)
    assert await texts(gateway, session_id) == [script.ANSWER, "Are you open?"]


async def texts(gateway: Gateway, session_id: str) -> list[str]:
    async with Client(gateway.url) as client:
        try:
            return [event.payload["text"] async for event in client.export(session_id) if "text" in event.payload]
        except errors.SessionNotFound:
            return []
