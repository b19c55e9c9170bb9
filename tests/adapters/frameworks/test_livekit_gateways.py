"""LiveKit calls whose gateway is there, down, frozen or killed: the user hears no difference."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from livekit.agents import WorkerOptions

from tests.adapters.frameworks.gateway import Gateway
from tests.adapters.frameworks.livekit_bot import Bot
from tests.adapters.frameworks.pacing import Pacing, check_evenness, runs_without_and_with, table
from tests.adapters.frameworks.scripted_call import ANSWER, nothing, texts
from tests.adapters.frameworks.waiting import until
from tests.adapters.page_code import run_page
from turnwire import Client, errors
from turnwire.adapters.livekit import bind


async def talk(bot: Bot, *turns: Callable[[], None]) -> None:
    """Ask the bot once for each of the turns, and call each of them in the middle of the answer."""
    async with bot:
        for turn in turns:
            await bot.user_says("Are you open?")
            await until(lambda: bot.session.agent_state == "speaking")
            turn()
            await until(lambda: bot.session.agent_state == "listening")


async def test_a_livekit_call_reaches_the_gateway_complete_and_ended(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER, ANSWER])
    call = bind(bot.session, bot.ctx, gateway.url, session_id=session_id, language="en", metadata={"bot": "tables"})
    await talk(bot, nothing, nothing)
    assert call.pending == 0
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2
    async with Client(gateway.url) as client:
        session = await client.get(session_id)
    assert session.status == "completed"
    assert session.metadata == {"framework": "livekit", "room": "fake-room", "bot": "tables"}


async def test_without_a_session_id_the_session_has_the_id_of_the_job(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNWIRE_URL", gateway.url)
    bot = Bot([])
    call = bind(bot.session, bot.ctx)
    async with bot:
        pass
    assert call.session_id == "AJ_1"
    async with Client(gateway.url) as client:
        assert (await client.get("AJ_1")).language == "und"


async def test_binding_without_a_gateway_url_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURNWIRE_URL", raising=False)
    bot = Bot([])
    with pytest.raises(ValueError, match="TURNWIRE_URL"):
        bind(bot.session, bot.ctx)


async def test_a_gateway_that_is_down_costs_the_call_nothing(
    nowhere: str, session_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot([ANSWER], last_words_within=2)
    call = bind(bot.session, bot.ctx, nowhere, session_id=session_id, drain_timeout=0.5)
    began = time.monotonic()
    async with bot:
        assert time.monotonic() - began < 2
        await bot.user_says("Are you open?")
        await until(lambda: bot.session.agent_state == "speaking")
        await until(lambda: bot.session.agent_state == "listening")
        leaving = time.monotonic()
        await bot.shut_down("done")
        assert time.monotonic() - leaving < 4, "LiveKit gives ten seconds"
    assert call.pending == len(call.unanswered()) > 0
    assert [record for record in caplog.records if record.name == "turnwire" and record.levelname == "WARNING"]


async def test_a_job_ends_within_livekits_own_limit_although_session_and_gateway_hang(
    nowhere: str, session_id: str
) -> None:
    bot = Bot([])
    bind(bot.session, bot.ctx, nowhere, session_id=session_id)
    began = time.monotonic()
    await bot.shut_down("no participant")  # the session, which never started, tells of no close
    # Types: no job is started, so any function does for an entrypoint.
    assert time.monotonic() - began < WorkerOptions(entrypoint_fnc=nothing).shutdown_process_timeout  # type: ignore[arg-type]


async def test_a_gateway_frozen_during_a_call_gets_every_event_when_it_thaws(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER, ANSWER])
    bind(bot.session, bot.ctx, gateway.url, session_id=session_id, drain_timeout=20)
    await talk(bot, gateway.freeze, gateway.thaw)
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2


async def test_a_gateway_killed_during_a_call_gets_every_event_once_it_is_back(
    gateway: Gateway, session_id: str
) -> None:
    bot = Bot([ANSWER, ANSWER])
    bind(bot.session, bot.ctx, gateway.url, session_id=session_id, drain_timeout=40)
    restarts: list[asyncio.Task[None]] = []
    await talk(bot, gateway.kill, lambda: restarts.append(asyncio.create_task(asyncio.to_thread(gateway.start))))
    await restarts[0]
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2
    async with Client(gateway.url) as client:
        assert (await client.get(session_id)).status == "completed"


async def test_commands_reach_the_session_by_a_gateway_and_the_log_tells_what_became_of_them(
    gateway: Gateway, session_id: str
) -> None:
    bot = Bot([])
    ended: list[str] = []
    # Types: the method of this one context is replaced, as LiveKit would end the process of the tests.
    bot.ctx.shutdown = lambda reason="": ended.append(reason)  # type: ignore[method-assign]
    bind(bot.session, bot.ctx, gateway.url, session_id=session_id)
    async with bot, Client(gateway.url) as client:
        async with asyncio.timeout(20):
            while not await accepts(client, session_id):
                await asyncio.sleep(0.02)
        await client.command(session_id, "say", {"text": "One moment please."}, command_id="c1")
        await client.command(session_id, "end", {"say": "Goodbye.", "reason": "shift over"}, command_id="c2")
        await until(lambda: ended, 20)
        await bot.shut_down(ended[0])
        session = await client.get(session_id)
        payloads = [event.payload async for event in client.export(session_id)]
    assert (session.status, session.end_reason) == ("completed", "shift over")
    states = [(one["commandId"], one["event"]) for one in payloads if one.get("event", "").startswith("control.")]
    assert sorted(states) == sorted(
        (command, f"control.{state}") for command in ("c1", "c2") for state in ("requested", "accepted", "done")
    )
    assert [one["text"] for one in payloads if "text" in one and "event" not in one] == [
        "One moment please.",
        "Goodbye.",
    ]


async def accepts(client: Client, session_id: str) -> bool:
    """Whether the session's bot has connected, and takes commands."""
    try:
        return bool((await client.get(session_id)).commands)
    except errors.SessionNotFound:
        return False


async def pacing_of_a_call(url: str | None, act: Callable[[], None]) -> Pacing:
    """The gaps in the bot's event loop, which carries its audio. `act` is called while the bot speaks."""
    bot = Bot([ANSWER])
    session_id = f"call-{uuid.uuid4()}"
    call = None if url is None else bind(bot.session, bot.ctx, url, session_id=session_id, drain_timeout=0.1)
    ticks: list[float] = []
    heart = asyncio.create_task(_beat(ticks))
    await talk(bot, act)
    heart.cancel()
    assert call is None or call.dropped == 0
    return Pacing.of(ticks)


@pytest.mark.pacing
async def test_audio_flows_as_evenly_as_without_turnwire(
    gateway: Gateway, nowhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await talk(Bot([ANSWER]), nothing)  # the first session loads much
    runs = await runs_without_and_with(pacing_of_a_call, gateway, nowhere)
    with capsys.disabled():
        print("\nLiveKit: the bot's event loop\n" + table(runs))
    check_evenness(runs)


async def _beat(ticks: list[float]) -> None:
    while True:
        ticks.append(time.monotonic())
        await asyncio.sleep(0.02)


class WithoutRoom:
    """A session that is started without its room, so that the bot's audio stays local."""

    def __init__(self, bot: Bot) -> None:
        self._session = bot.session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def start(self, agent: Any, *, room: Any) -> None:
        await self._session.start(agent, record=False)


async def test_the_code_in_livekit_md_runs(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER])
    bot.ctx.job.id = session_id
    bot.connect_audio()
    await run_page("livekit", session=WithoutRoom(bot), ctx=bot.ctx, agent=bot.agent, gateway=gateway.url)
    await bot.user_says("Are you open?")
    await until(lambda: bot.session.agent_state == "speaking")
    await until(lambda: bot.session.agent_state == "listening")
    await bot.shut_down("done")
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER]
