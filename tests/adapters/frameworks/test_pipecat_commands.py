"""Commands of supervisors in real pipelines with scripted services."""

from __future__ import annotations

import asyncio

import pytest
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker

from tests.adapters.frameworks.gateway import Gateway
from tests.adapters.frameworks.pipecat_bot import SAMPLE_RATE, Bot, Loudspeaker, ScriptedVoice
from tests.adapters.frameworks.waiting import until
from tests.adapters.recorder import Recorder
from turnwire import Client
from turnwire.adapters.pipecat import attach
from turnwire.adapters.pipecat.observer import add_observers
from turnwire.errors import CommandRefused

ANSWER = "It is open until six today. Do you want me to book a table for you?"


def watched(bot: Bot) -> Recorder:
    recorder = Recorder()
    add_observers(bot.worker, recorder)
    return recorder


async def test_say_is_done_once_the_text_has_been_said() -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        await told.asked("say", text="One moment please.")
        assert [one["text"] for one in told.payloads("bot_speech")] == ["One moment please."]
    assert told.ended == ("completed", "ended")


@pytest.mark.parametrize("respond", [True, False])
async def test_a_whisper_is_in_the_context_and_answered_only_when_asked_for(respond: bool) -> None:
    bot = Bot(["Ten percent off."])
    told = watched(bot)
    async with bot:
        await told.asked("whisper", text="offer 10 %", respond=respond)
        await until(lambda: {"role": "developer", "content": "offer 10 %"} in bot.context.messages)
        if respond:
            await until(lambda: told.payloads("bot_speech"))
    assert len(bot.model.replies) == (0 if respond else 1)


@pytest.mark.parametrize("interruptible", [True, False])
async def test_a_supervisor_cuts_the_bot_short_and_speaks_instead(interruptible: bool) -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: len(told.hints("bot_speech")) >= 3)
        await told.asked("say", text="We are closed.", interrupt=True, interruptible=interruptible)
        cut, said = told.payloads("bot_speech")
    assert (cut["cutBy"], cut["heard"]) == ("supervisor", "exact")
    assert f"{cut['text']} {cut['unsaid']}" == ANSWER
    assert (said["text"], "interrupted" in said) == ("We are closed.", False)
    assert [one["by"] for one in told.payloads("interruption")] == ["supervisor"]


@pytest.mark.parametrize("interruptible", [True, False])
async def test_the_caller_interrupts_what_is_said_unless_it_is_not_interruptible(interruptible: bool) -> None:
    bot = Bot(["Sure."])
    told = watched(bot)
    async with bot:
        saying = asyncio.create_task(told.asked("say", text=ANSWER, interruptible=interruptible))
        await until(lambda: len(told.hints("bot_speech")) >= 3)
        await bot.user_says("Stop it please")
        await saying
        await until(lambda: told.payloads("bot_speech"))
        if not interruptible:
            await bot.user_says("Are you open?")  # who was not heard then is heard now
        await until(lambda: told.payloads("user_speech"))
    said = told.payloads("bot_speech")[0]
    assert said.get("cutBy") == ("user" if interruptible else None)
    assert (said["text"] == ANSWER) is not interruptible
    heard = "Stop it please" if interruptible else "Are you open?"
    assert [one["text"] for one in told.payloads("user_speech")] == [heard]


async def test_a_pipeline_without_an_aggregator_cannot_keep_the_caller_from_interrupting() -> None:
    voice = Pipeline([ScriptedVoice(word_times=True), Loudspeaker()])
    worker = PipelineWorker(voice, params=PipelineParams(audio_out_sample_rate=SAMPLE_RATE))
    told = Recorder()
    add_observers(worker, told)
    with pytest.raises(CommandRefused, match="interrupting"):
        await told.asked("say", text="Listen.", interruptible=False)


@pytest.mark.parametrize("way", ["end", "say"])
async def test_a_supervisor_ends_the_call_after_the_farewell(way: str) -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        if way == "end":
            await told.asked("end", say="Goodbye for now.", reason="shift over")
        else:
            await told.asked("say", text="Goodbye for now.", end=True)
        await until(lambda: told.ended)
    assert [one["text"] for one in told.payloads("bot_speech")] == ["Goodbye for now."]
    assert told.ended == ("completed", "shift over" if way == "end" else "supervisor")


async def test_commands_reach_the_bot_by_a_gateway_and_the_log_tells_what_became_of_them(
    gateway: Gateway, session_id: str
) -> None:
    bot = Bot([])
    call = attach(bot.worker, gateway.url, session_id)
    async with bot, Client(gateway.url) as client:
        await until(lambda: call.connected)
        while not (await client.get(session_id)).commands:
            await asyncio.sleep(0.02)
        await client.command(session_id, "say", {"text": "One moment please."}, command_id="c1")
        await client.command(session_id, "end", {"say": "Goodbye.", "reason": "shift over"}, command_id="c2")
        assert bot._run is not None
        await asyncio.wait_for(bot._run, 20)
        session = await client.get(session_id)
        payloads = [event.payload async for event in client.export(session_id)]
    assert (session.status, session.end_reason) == ("completed", "shift over")
    states = [(one["commandId"], one["event"]) for one in payloads if one.get("event", "").startswith("control.")]
    assert sorted(states) == sorted(
        (command, f"control.{state}") for command in ("c1", "c2") for state in ("requested", "accepted", "done")
    )
    said = " ".join(one["text"] for one in payloads if "text" in one and "event" not in one)
    assert said == "One moment please. Goodbye."
