"""Commands of supervisors in a real AgentSession with scripted services."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.adapters.frameworks.livekit_bot import Bot
from tests.adapters.frameworks.waiting import until
from tests.adapters.recorder import Recorder
from turnwire.adapters.livekit.binding import bind_to

ANSWER = "It is open until six today. Do you want me to book a table for you?"


def watched(bot: Bot) -> Recorder:
    recorder = Recorder()
    bind_to(bot.session, bot.ctx, recorder)
    return recorder


async def test_say_is_done_once_the_text_has_been_said() -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        assert await told.asked("say", text="One moment please.") is None
        await until(lambda: told.payloads("bot_speech"))
    assert [one["text"] for one in told.payloads("bot_speech")] == ["One moment please."]


@pytest.mark.parametrize("respond", [True, False])
async def test_a_whisper_is_in_the_context_and_answered_only_when_asked_for(respond: bool) -> None:
    bot = Bot(["Ten percent off."])
    told = watched(bot)
    async with bot:
        await told.asked("whisper", text="offer 10 %", respond=respond)
        hints = [item for item in bot.agent.chat_ctx.items if getattr(item, "text_content", None) == "offer 10 %"]
        assert [hint.role for hint in hints] == ["system"]  # type: ignore[union-attr]
        if respond:
            await until(lambda: told.payloads("bot_speech"))
    assert len(told.payloads("bot_speech")) == respond


@pytest.mark.parametrize("interruptible", [True, False])
async def test_a_supervisor_cuts_the_bot_short_and_speaks_instead(interruptible: bool) -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: bot.session.agent_state == "speaking")
        await asyncio.sleep(0.6)  # the bot is in the middle of its answer then
        await told.asked("say", text="We are closed.", interrupt=True, interruptible=interruptible)
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    cut, said = told.payloads("bot_speech")
    assert (cut["interrupted"], cut["cutBy"]) == (True, "supervisor")
    assert ANSWER.startswith(cut["text"])
    assert (said["text"], "interrupted" in said) == ("We are closed.", False)
    assert [one["by"] for one in told.payloads("interruption")] == ["supervisor"]


@pytest.mark.parametrize("interruptible", [True, False])
async def test_the_caller_interrupts_what_is_said_unless_it_is_not_interruptible(interruptible: bool) -> None:
    bot = Bot(["Sure."])
    told = watched(bot)
    async with bot:
        saying = asyncio.create_task(told.asked("say", text=ANSWER, interruptible=interruptible))
        await until(lambda: bot.session.agent_state == "speaking")
        await asyncio.sleep(0.6)  # in mid-sentence
        await bot.user_says("Stop it please")
        assert await saying == ("interrupted" if interruptible else None)
        await until(lambda: told.payloads("bot_speech"))
    assert told.payloads("bot_speech")[0].get("cutBy") == ("user" if interruptible else None)


@pytest.mark.parametrize("way", ["end", "say"])
async def test_a_supervisor_ends_the_job_after_the_farewell(way: str) -> None:
    bot = Bot([])
    told = watched(bot)
    ended: list[str] = []
    # Types: the method of this one context is replaced, as LiveKit would end the process of the tests.
    bot.ctx.shutdown = lambda reason="": ended.append(reason)  # type: ignore[method-assign]
    payload: dict[str, Any] = {"say": "Goodbye.", "reason": "shift over"} if way == "end" else {"text": "Goodbye."}
    async with bot:
        await told.asked(way, **payload, **({} if way == "end" else {"end": True}))
    reason = "shift over" if way == "end" else "supervisor"
    assert ended == [reason]
    assert [one["text"] for one in told.payloads("bot_speech")] == ["Goodbye."]
    assert told.ended == ("completed", reason)
