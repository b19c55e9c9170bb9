"""Commands in a Realtime session: which events the client sends, and what the server's answers mean for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.adapters import openai_script as script
from tests.adapters.page_code import run_page
from tests.adapters.recorder import Recorder
from turnwire.adapters import deliver
from turnwire.adapters.openai_realtime import RealtimeMapper, speak_for
from turnwire.errors import CommandRefused


class Line:
    """The connection of a bot, of which the test is the server. The bot's clock stands."""

    def __init__(self, *, hang_up: bool = True, interrupt: Callable[[], Awaitable[object]] | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.told = Recorder()
        self.hung_up: list[str] = []
        self.mapper = RealtimeMapper(clock=lambda: 1_766_000_000.0)
        self.says(script.created())
        ends = self._hang_up if hang_up else None
        speak_for(self.told, self.mapper, self._send, hang_up=ends, interrupt=interrupt)

    async def _send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    async def _hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)

    def says(self, *messages: script.Message) -> None:
        for message in messages:
            deliver(self.told, self.mapper.events(message))

    async def ask(self, command: str, **payload: Any) -> asyncio.Task[str | None]:
        """The command under way, as far as it gets by itself."""
        task = asyncio.create_task(self.told.asked(command, **payload))
        for _ in range(5):
            await asyncio.sleep(0)
        return task

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def makes_it(self, status: str = "completed") -> None:
        """Make the response that was asked for last, without audio."""
        metadata = self.sent[-1]["response"]["metadata"]
        self.says(
            script.response("response.created", 30, "resp_s", status="in_progress", metadata=metadata),
            script.done(31, "resp_s", status=status, metadata=metadata),
        )


async def test_a_whisper_is_an_item_that_the_model_answers_only_when_asked_to() -> None:
    line = Line()
    await (await line.ask("whisper", text="offer 10 %"))
    assert line.kinds == ["conversation.item.create"]
    assert line.sent[0]["item"]["role"] == "system"
    assert line.sent[0]["item"]["content"] == [{"type": "input_text", "text": "offer 10 %"}]
    await (await line.ask("whisper", text="now", respond=True))
    assert line.kinds[1:] == ["conversation.item.create", "response.create"]


async def test_say_is_done_once_the_server_has_generated_the_answer() -> None:
    line = Line()
    saying = await line.ask("say", text="One moment.")
    assert "One moment." in line.sent[0]["response"]["instructions"]
    assert not saying.done()
    line.says(script.done(29, "resp_other"))  # it is not the one that was asked for
    await asyncio.sleep(0)
    assert not saying.done()
    line.makes_it()
    assert await saying is None


@pytest.mark.parametrize("status", ["cancelled", "incomplete"])
async def test_the_answer_says_when_it_was_cut_short(status: str) -> None:
    line = Line()
    saying = await line.ask("say", text="One moment.")
    line.makes_it(status)
    assert await saying == "interrupted"


async def test_a_command_fails_if_the_server_fails_or_refuses_the_response() -> None:
    line = Line()
    saying = await line.ask("say", text="One moment.")
    line.makes_it("failed")
    with pytest.raises(RuntimeError, match="could not"):
        await saying
    saying = await line.ask("say", text="One moment.")
    error = {"type": "invalid_request_error", "message": "no", "event_id": line.sent[-1]["event_id"]}
    line.says(script.event("error", 40, error=error))
    with pytest.raises(RuntimeError, match="no"):
        await saying


async def test_a_response_that_is_being_made_is_waited_for_or_cancelled() -> None:
    line = Line()
    line.says(script.response("response.created", 4, "resp_1", status="in_progress"))
    saying = await line.ask("say", text="One moment.")
    assert line.kinds == []
    line.says(script.done(10, "resp_1"))
    await line.ask("whisper", text="hint")
    assert line.kinds == ["response.create", "conversation.item.create"]
    line.sent.pop()
    line.makes_it()
    await saying
    line.says(script.response("response.created", 4, "resp_2", status="in_progress"))
    await line.ask("say", text="Stop.", interrupt=True)
    assert line.kinds[1:] == ["response.cancel"]
    line.says(script.done(10, "resp_2", status="cancelled"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert line.kinds[1:] == ["response.cancel", "response.create"]


async def test_an_utterance_cut_by_a_supervisor_is_marked() -> None:
    line = Line()
    line.says(
        script.response("response.created", 4, "resp_1", status="in_progress"),
        script.delta(5, "resp_1", "item_b1", 2000),
        script.words(6, "resp_1", "item_b1", "Yes, until six."),
        script.event("output_audio_buffer.started", 7, response_id="resp_1"),
    )
    await line.ask("whisper", text="stop", interrupt=True)
    assert line.kinds == ["response.cancel", "output_audio_buffer.clear", "conversation.item.create"]
    line.says(
        script.event("output_audio_buffer.cleared", 8, response_id="resp_1"),
        script.message_done(9, "resp_1", "item_b1", "Yes, until six.", status="incomplete"),
    )
    assert line.told.payloads("bot_speech")[0]["cutBy"] == "supervisor"
    assert line.told.payloads("interruption")[0]["by"] == "supervisor"
    line.says(script.delta(15, "resp_2", "item_b2", 2000), script.event("output_audio_buffer.cleared", 16))
    assert [one["by"] for one in line.told.payloads("interruption")] == ["supervisor", "user"]


async def test_a_player_of_ones_own_is_stopped_instead() -> None:
    stopped: list[str] = []

    async def interrupt() -> None:
        stopped.append("player")

    line = Line(interrupt=interrupt)
    line.says(script.response("response.created", 4, "resp_1", status="in_progress"))
    await line.ask("whisper", text="stop", interrupt=True)
    assert (stopped, line.kinds) == (["player"], ["conversation.item.create"])


async def test_the_call_ends_after_the_farewell() -> None:
    line = Line()
    ending = await line.ask("end", say="Goodbye.", reason="shift over")
    assert line.hung_up == []
    line.makes_it()
    await ending
    assert line.hung_up == ["shift over"]
    saying = await line.ask("say", text="Goodbye.", end=True)
    line.makes_it()
    await saying
    assert line.hung_up == ["shift over", "supervisor"]


async def test_a_command_that_cannot_be_carried_out_is_refused() -> None:
    line = Line(hang_up=False)
    assert sorted(line.told.handlers) == ["say", "whisper"]
    with pytest.raises(CommandRefused, match="cannot end"):
        await line.told.asked("say", text="Goodbye.", end=True)
    with pytest.raises(CommandRefused, match="interrupt"):
        await line.told.asked("say", text="Listen.", interruptible=False)
    assert line.sent == []


async def test_the_code_in_openai_realtime_md_has_commands_carried_out() -> None:
    sent: list[dict[str, Any]] = []

    class Connection:
        async def send(self, event: dict[str, Any]) -> None:
            sent.append(event)

    async def hang_up(reason: str) -> None:
        sent.append({"hung up": reason})

    told = Recorder()
    await run_page(
        "openai-realtime", block=1, call=told, mapper=RealtimeMapper(), connection=Connection(), hang_up=hang_up
    )
    await told.asked("whisper", text="offer 10 %")
    await told.asked("end", reason="shift over")
    assert sent[0]["item"]["content"][0]["text"] == "offer 10 %"
    assert sent[1] == {"hung up": "shift over"}
