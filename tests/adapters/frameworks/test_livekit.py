"""The LiveKit adapter on a real AgentSession with scripted services."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent, RunContext, function_tool, llm
from livekit.agents.types import APIConnectOptions

from tests.adapters.frameworks.livekit_bot import Bot, ScriptedModel
from tests.adapters.frameworks.scripted_call import ANSWER, GREETING, check_conversation, check_tool_that_answers
from tests.adapters.frameworks.waiting import until
from tests.adapters.recorder import Recorder
from turnwire.adapters.livekit.binding import bind_to


def watched(bot: Bot) -> Recorder:
    recorder = Recorder()
    bind_to(bot.session, bot.ctx, recorder)
    return recorder


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_livekit_call_is_published_with_texts_times_turns_and_its_end(word_times: bool) -> None:
    bot = Bot([ANSWER], word_times=word_times)
    told = watched(bot)
    async with bot:
        bot.session.say(GREETING)
        await until(lambda: told.payloads("bot_speech"))
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
        bot.session.shutdown()
        await until(lambda: not bot.session._started)
    assert told.payloads("call.started")[0]["job"] == "AJ_1"
    assert told.payloads("call.ended")[0]["reason"] == "user_initiated"
    assert told.ended == ("completed", "user_initiated")
    question = check_conversation(told)
    assert (question["language"], question["confidence"]) == ("en", 0.9)


async def test_interim_texts_of_livekit_are_published_as_hints() -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("bot_speech"))
    assert [hint["text"] for hint in told.hints("user_speech")] == ["Are", "Are you open?"]


async def test_the_stages_of_a_livekit_answer_add_up_to_its_response_time() -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("metrics.turn"))
    (figures,) = told.payloads("metrics.turn")
    question, answer = told.payloads("user_speech")[0], told.payloads("bot_speech")[0]
    assert figures["turn"] == 1
    assert figures["responseMs"] == pytest.approx(answer["startedMs"] - question["endedMs"], abs=2)
    stages = ["sttMs", "turnDetectionMs", "llmMs", "aggregationMs", "ttsMs", "outputMs"]
    assert sum(figures[name] for name in stages) == pytest.approx(figures["responseMs"], abs=300)


async def test_livekit_usage_is_published_once_at_the_end() -> None:
    bot = Bot([ANSWER, ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 1)
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
        assert not told.payloads("usage")
    of_model, of_voice = told.payloads("usage")
    assert of_model == {
        "event": "usage",
        "kind": "llm",
        "provider": "scripted",
        "model": "scripted-1",
        "inputTokens": 20,
        "outputTokens": 10,
    }
    assert of_voice["characters"] == pytest.approx(2 * len(ANSWER), abs=4)


async def barge_in(*, word_times: bool) -> Recorder:
    bot = Bot([ANSWER, "Sure."], word_times=word_times)
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: bot.session.agent_state == "speaking")
        await asyncio.sleep(0.6)  # by then the bot is in the middle of its answer; the test is about what it has said
        await bot.user_says("Stop it please")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    return told


async def test_a_barge_in_with_word_times_publishes_exactly_what_was_heard() -> None:
    told = await barge_in(word_times=True)
    cut, after = told.payloads("bot_speech")
    assert (cut["interrupted"], cut["cutBy"], cut["heard"]) == (True, "user", "exact")
    assert cut["text"] != ANSWER
    assert ANSWER.startswith(cut["text"])
    words = len(cut["text"].split())
    assert words == pytest.approx((cut["endedMs"] - cut["startedMs"]) / 100, abs=4)
    (interruption,) = told.payloads("interruption")
    assert (interruption["by"], interruption["turn"], interruption["atMs"]) == ("user", 1, cut["endedMs"])
    assert (after["text"], after["turn"]) == ("Sure.", 2)


async def test_a_barge_in_without_word_times_marks_the_heard_text_as_unknown() -> None:
    told = await barge_in(word_times=False)
    cut = told.payloads("bot_speech")[0]
    assert (cut["interrupted"], cut["cutBy"], cut["heard"]) == (True, "user", "unknown")
    assert cut["text"] == ANSWER
    assert told.payloads("interruption")[0]["atMs"] == cut["endedMs"]


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_hang_up_during_an_answer_keeps_its_last_words(word_times: bool) -> None:
    bot = Bot([ANSWER], word_times=word_times)
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: bot.session.agent_state == "speaking")
        await asyncio.sleep(0.6)  # in the middle of the answer
        await bot.shut_down("user_hangup")
    (cut,) = told.payloads("bot_speech")
    assert (cut["interrupted"], cut["cutBy"]) == (True, "hangup")
    assert cut["text"].startswith("It is open")
    assert not told.payloads("interruption")
    assert told.payloads("call.ended")
    assert told.ended is not None
    assert told.ended[0] == "completed"


@function_tool
async def free_tables(context: RunContext[None], day: str) -> str:
    """Which tables are free."""
    if day == "broken":
        raise ValueError("no such table")
    if day == "far":
        await context.update("looking")
    await asyncio.sleep(0.05)
    return '{"free": ["18:00"]}'


async def tool_call(day: str) -> Recorder:
    call = llm.FunctionToolCall(name="free_tables", arguments=f'{{"day": "{day}"}}', call_id="call-1")
    bot = Bot([call, "There is one.", "There is one."], tools=[free_tables])
    told = watched(bot)
    async with bot:
        await bot.user_says("Is there a table?")
        await until(lambda: told.payloads("tool.completed", "tool.failed"))
    return told


async def test_a_tool_that_answers_is_published_as_completed() -> None:
    told = await tool_call("today")
    check_tool_that_answers(told)


async def test_a_tool_that_reports_progress_is_published_as_in_progress() -> None:
    told = await tool_call("far")
    (progress,) = told.payloads("tool.progress")
    assert (progress["callId"], progress["name"], progress["result"]) == ("call-1", "free_tables", "looking")
    assert told.payloads("tool.completed")[0]["callId"] == "call-1"


async def test_a_tool_that_raises_is_published_as_failed() -> None:
    told = await tool_call("broken")
    assert told.payloads("tool.failed")[0]["error"] == "no such table"


async def test_a_tool_that_runs_at_the_end_of_the_job_is_cancelled_although_livekit_waits_for_it() -> None:
    release = asyncio.Event()

    @function_tool
    async def hold(context: RunContext[None]) -> str:
        """Take long."""
        await release.wait()
        return "at last"

    bot = Bot([llm.FunctionToolCall(name="hold", arguments="{}", call_id="call-1"), "Done."], tools=[hold])
    told = watched(bot)
    async with bot:
        await bot.user_says("Hold the line")
        await until(lambda: told.payloads("tool.started"))
        ending = asyncio.create_task(bot.shut_down("user_hangup"))
        await until(lambda: told.ended)
        release.set()
        await ending
    (cancelled,) = told.payloads("tool.cancelled")
    assert (cancelled["name"], cancelled["callId"]) == ("hold", "call-1")
    assert not told.payloads("tool.failed")


class Billing(Agent):
    """LiveKit names an agent after its class."""


async def test_a_handoff_names_both_agents() -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        bot.session.update_agent(Billing(instructions="Bills."))
        await until(lambda: told.payloads("handoff"))
    assert told.payloads("handoff") == [{"event": "handoff", "from": "default_agent", "to": "billing"}]


async def test_pressed_keys_are_published() -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        bot.ctx.room.emit("sip_dtmf_received", rtc.SipDTMF(code=5, digit="5"))
    assert told.payloads("dtmf") == [{"event": "dtmf", "by": "user", "digits": "5"}]


class Failing(ScriptedModel):
    def chat(self, **arguments: Any) -> llm.LLMStream:
        arguments["conn_options"] = APIConnectOptions(max_retry=0)
        return Broken(self, chat_ctx=arguments["chat_ctx"], tools=[], conn_options=arguments["conn_options"])


class Broken(llm.LLMStream):
    async def _run(self) -> None:
        raise RuntimeError("the model is overloaded")


async def test_an_error_that_ends_the_livekit_session_makes_the_session_failed() -> None:
    bot = Bot([], model=Failing([]))
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: not bot.session._started)
    assert "overloaded" in told.payloads("error")[0]["message"]
    assert told.payloads("error")[0]["code"] == "llm_error"
    assert told.ended == ("failed", "error")


async def test_a_job_whose_session_never_started_still_ends_in_time() -> None:
    bot = Bot([])
    told = watched(bot)
    began = time.monotonic()
    await bot.shut_down("no participant")
    assert time.monotonic() - began < 5
    assert told.ended == ("completed", "no participant")


async def test_an_event_the_adapter_cannot_read_does_not_disturb_the_livekit_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        bot.session.emit("conversation_item_added", object())
        bot.session.emit("error", None)
    assert "was not recorded" in caplog.text
    assert told.ended is not None
