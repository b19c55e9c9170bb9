"""The Pipecat adapter in real pipelines with scripted services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    FunctionCallResultProperties,
    InputDTMFFrame,
    OutputDTMFUrgentFrame,
    TTSSpeakFrame,
)
from pipecat.frames.frames import KeypadEntry as Key

from tests.adapters.frameworks.pipecat_bot import Bot, Call
from tests.adapters.frameworks.scripted_call import ANSWER, GREETING, check_conversation, check_tool_that_answers
from tests.adapters.frameworks.waiting import until
from tests.adapters.recorder import Recorder
from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.pipecat.call import PipecatCall
from turnwire.adapters.pipecat.observer import CallObserver, add_observers


def watched(bot: Bot) -> Recorder:
    recorder = Recorder()
    add_observers(bot.worker, recorder)
    return recorder


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_pipecat_call_is_published_with_texts_times_turns_and_its_end(word_times: bool) -> None:
    bot = Bot([ANSWER], word_times=word_times)
    told = watched(bot)
    async with bot:
        await bot.worker.queue_frame(TTSSpeakFrame(GREETING))
        await until(lambda: told.payloads("bot_speech"))
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
        await bot.end("goodbye")
    started, ended = told.payloads("call.started")[0], told.payloads("call.ended")[0]
    assert started["services"] == ["ScriptedModel", "ScriptedVoice"]
    assert ended["reason"] == "goodbye"
    assert told.ended == ("completed", "goodbye")
    check_conversation(told)
    assert [event.payload["event"] for event in told.events if "event" in event.payload][-1] == "call.ended"


async def test_interim_texts_of_pipecat_are_published_as_hints() -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("bot_speech"))
    assert [hint["text"] for hint in told.hints("user_speech")] == ["Are", "Are you open?"]
    words = [hint["text"] for hint in told.hints("bot_speech")]
    assert words[:3] == ["It", "It is", "It is open"]
    assert all(hint["final"] is False and hint["turn"] == 1 for hint in told.hints("bot_speech"))


async def test_the_stages_of_a_pipecat_answer_add_up_to_its_response_time() -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("bot_speech"))
    (figures,) = told.payloads("metrics.turn")
    question, answer = told.payloads("user_speech")[0], told.payloads("bot_speech")[0]
    assert figures["turn"] == 1
    assert figures["responseMs"] == pytest.approx(answer["startedMs"] - question["endedMs"], abs=300)
    # Pipecat names no stage around a transcript that came before it noticed the end of the speech.
    before = [figures[name] for name in ("endpointingMs", "sttMs", "turnDetectionMs") if name in figures]
    stages = [*before, figures["llmMs"], figures["ttsMs"]]
    assert before
    assert sum(stages) <= figures["responseMs"] + len(stages)
    assert figures["llmMs"] >= 15


async def test_pipecat_usage_is_published_once_per_exchange() -> None:
    bot = Bot([ANSWER, ANSWER])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 1)
        await bot.user_says("Are you open?")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    usage = told.payloads("usage")
    assert [one["kind"] for one in usage] == ["llm", "tts", "llm", "tts"]
    assert usage[0] == {
        "event": "usage",
        "kind": "llm",
        "provider": "ScriptedModel",
        "model": "scripted-1",
        "inputTokens": 10,
        "outputTokens": 5,
    }
    assert usage[1]["characters"] == pytest.approx(len(ANSWER), abs=2)


async def test_a_barge_in_with_word_times_publishes_exactly_what_was_heard() -> None:
    bot = Bot([ANSWER, "Sure."])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: len(told.hints("bot_speech")) >= 5)
        await bot.user_says("Stop it please")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    cut, after = told.payloads("bot_speech")
    assert cut["interrupted"] is True
    assert cut["cutBy"] == "user"
    assert cut["heard"] == "exact"
    assert f"{cut['text']} {cut['unsaid']}" == ANSWER
    assert cut["text"].startswith("It is open until")
    (interruption,) = told.payloads("interruption")
    assert interruption["by"] == "user"
    assert interruption["turn"] == cut["turn"] == 1
    assert interruption["atMs"] == cut["endedMs"]
    assert interruption["unsaid"] == cut["unsaid"]
    assert told.payloads("user_speech")[1]["startedMs"] <= cut["endedMs"]
    assert (after["text"], after["turn"]) == ("Sure.", 2)


async def test_a_barge_in_without_word_times_marks_the_heard_text_as_unknown() -> None:
    bot = Bot([ANSWER, "Sure."], word_times=False)
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.hints("bot_speech"))  # the first sentence has been played
        await bot.user_says("Stop it please")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    cut = told.payloads("bot_speech")[0]
    assert cut["text"] == ANSWER
    assert cut["heard"] == "unknown"
    assert cut["interrupted"] is True
    assert "unsaid" not in cut
    assert told.payloads("interruption")[0]["atMs"] == cut["endedMs"]


async def test_a_user_who_speaks_while_the_bot_is_silent_does_not_interrupt() -> None:
    bot = Bot([ANSWER, "Sure."])
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("bot_speech"))
        await bot.user_says("Thanks")
        await until(lambda: len(told.payloads("bot_speech")) == 2)
    assert not told.payloads("interruption")
    assert not [one for one in told.payloads("bot_speech") if one.get("interrupted")]


@pytest.mark.parametrize("word_times", [True, False])
async def test_a_hang_up_during_an_answer_keeps_its_last_words(word_times: bool) -> None:
    bot = Bot([ANSWER], word_times=word_times)
    told = watched(bot)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: told.hints("bot_speech"))
        await bot.hang_up("user_hangup")
    (cut,) = told.payloads("bot_speech")
    assert cut["interrupted"] is True
    assert cut["cutBy"] == "hangup"
    if word_times:
        assert f"{cut['text']} {cut['unsaid']}" == ANSWER
    else:
        assert (cut["text"], cut["heard"]) == (ANSWER, "unknown")
    assert not told.payloads("interruption")
    assert told.ended == ("completed", "user_hangup")


Tool = Callable[[Any], Awaitable[None]]


async def answers(params: Any) -> None:
    await asyncio.sleep(0.05)
    await params.result_callback({"free": ["18:00"]})


async def reports(params: Any) -> None:
    await params.result_callback({"percent": 50}, properties=FunctionCallResultProperties(is_final=False))
    await params.result_callback({"percent": 100})


async def breaks(params: Any) -> None:
    raise ValueError("no such table")


async def hangs(params: Any) -> None:
    await asyncio.sleep(60)


async def tool_call(tool: Tool, *, then: str = "", **options: Any) -> Recorder:
    bot = Bot(
        [Call("free_tables", {"day": "today"}), "There is one."], tools={"free_tables": tool}, tool_options=options
    )
    told = watched(bot)
    async with bot:
        await bot.user_says("Is there a table?")
        await until(lambda: told.payloads("tool.started"))
        if then == "interrupted":
            await bot.user_says("Never mind")
            await until(lambda: told.payloads("tool.cancelled"))
        elif then == "hung up":
            await bot.hang_up()
        else:
            await until(lambda: told.payloads("tool.completed", "tool.failed", "tool.timed_out"))
            await until(lambda: told.payloads("bot_speech"))
    return told


async def test_a_tool_that_answers_is_published_as_completed() -> None:
    told = await tool_call(answers)
    check_tool_that_answers(told)
    assert told.payloads("metrics.turn")[0]["toolMs"] >= 45


async def test_a_tool_that_reports_progress_is_published_as_in_progress() -> None:
    told = await tool_call(reports, cancel_on_interruption=False)
    assert [one["result"] for one in told.payloads("tool.progress", "tool.completed")] == [
        {"percent": 50},
        {"percent": 100},
    ]


async def test_a_tool_that_raises_is_published_as_failed() -> None:
    told = await tool_call(breaks)
    (failed,) = told.payloads("tool.failed")
    assert failed["error"] == "ValueError: no such table"
    assert "no such table" in told.payloads("error")[0]["message"]


async def test_a_tool_that_takes_too_long_is_published_as_timed_out() -> None:
    told = await tool_call(hangs, timeout_secs=0.1)
    (timed_out,) = told.payloads("tool.timed_out")
    assert timed_out["durationMs"] >= 95


@pytest.mark.parametrize("then", ["interrupted", "hung up"])
async def test_a_cancelled_tool_is_published_as_cancelled(then: str) -> None:
    told = await tool_call(hangs, then=then)
    assert [one["callId"] for one in told.payloads("tool.cancelled")] == ["call-1"]
    assert not told.payloads("tool.completed", "tool.failed", "tool.timed_out")


async def test_pressed_keys_and_errors_are_published() -> None:
    bot = Bot([])
    told = watched(bot)
    async with bot:
        await bot.worker.queue_frame(InputDTMFFrame(button=Key.FIVE))
        await bot.worker.queue_frame(OutputDTMFUrgentFrame(buttons=[Key.ONE, Key.POUND]))
        await bot.model.push_error("the model is overloaded")
        await until(lambda: told.payloads("error"))
    assert told.payloads("dtmf") == [
        {"event": "dtmf", "by": "user", "digits": "5"},
        {"event": "dtmf", "by": "bot", "digits": "1#"},
    ]
    assert told.payloads("error")[0]["message"] == "the model is overloaded"
    assert told.payloads("error")[0]["processor"].startswith("ScriptedModel")


async def test_a_frame_the_adapter_cannot_read_does_not_stop_it(caplog: pytest.LogCaptureFixture) -> None:
    bot = Bot([ANSWER])
    told = watched(bot)
    async with bot:
        for _ in range(2):
            await bot.worker.queue_frame(ErrorFrame(error="x", category=object()))  # type: ignore[arg-type]
            await bot.worker.queue_frame(InputDTMFFrame(button=None))  # type: ignore[arg-type]
        await bot.user_says("Are you open?")
        await until(lambda: told.payloads("bot_speech"))
    assert told.payloads("bot_speech")[0]["text"] == ANSWER


def test_times_of_the_pipeline_go_by_its_least_delayed_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    notes = CallNotes(recorder)
    observer = CallObserver(recorder, notes, PipecatCall(notes))
    moments = []
    for now, since_start in ((100.5, 0.0001), (101.0, 1.0), (103.0, 2.0)):  # the first and the last came late
        monkeypatch.setattr("time.time", lambda now=now: now)
        moments.append(observer._moment(int(since_start * 1e9)))
    assert moments == pytest.approx([100.5, 101.0, 102.0])
