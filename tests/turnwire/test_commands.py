"""Commands reach a bot's handlers: each is carried out once, and its result is sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.gateway.live.command_bots import ask, controls, until_accepted, until_controls
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import until
from turnwire import Publisher
from turnwire.cli import app
from turnwire.client import Client
from turnwire.errors import CommandRefused, Refused
from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult
from turnwire.protocol.errors import MESSAGE_CHARS
from turnwire.protocol.messages import Opened, OpenedLimits, Session
from turnwire.protocol.times import format_time
from turnwire.publishing.commands import Commands

STANDARD = ["whisper", "say", "end"]


async def test_a_command_handler_gets_the_command_and_returns_its_answer(gateway: Gateway) -> None:
    session_id = new_id("call")
    got: list[CommandPush] = []

    async def carry_out(command: CommandPush) -> str:
        got.append(command)
        return "said"

    async with Publisher(gateway.url, session_id) as call, Client(gateway.url) as client:
        call.on_command(carry_out)
        await until_accepted(gateway, session_id, STANDARD)
        state = await client.command(session_id, "say", {"text": "Hello"}, command_id="c1", by="ada")
        assert state.state == "requested"
        await until_controls(gateway, session_id, ("requested", "c1"), ("accepted", "c1"), ("done", "c1"))
        state = await client.command(session_id, "say", {"text": "Hello"}, command_id="c1")
        assert (state.state, state.message) == ("done", "said")
    assert [(each.command, each.payload, each.by) for each in got] == [("say", {"text": "Hello"}, "ada")]


async def test_a_plain_command_handler_may_refuse_or_fail(gateway: Gateway) -> None:
    session_id = new_id("call")

    def carry_out(command: CommandPush) -> None:
        if command.payload["to"] == "nobody":
            raise CommandRefused("there is nobody")
        raise ValueError("no line")

    async with Publisher(gateway.url, session_id) as call, Client(gateway.url) as client:
        call.on_command(carry_out, "transfer")
        await until_accepted(gateway, session_id, ["transfer"])
        with pytest.raises(Refused, match="accepts 'say'"):
            await client.command(session_id, "say", {"text": "Hello"}, command_id="c0")
        for command_id, to, state, message in (
            ("c1", "nobody", "refused", "there is nobody"),
            ("c2", "x", "failed", "ValueError: no line"),
        ):
            await client.command(session_id, "transfer", {"to": to}, command_id=command_id)
            async with asyncio.timeout(10):
                while (state, command_id) not in await controls(gateway, session_id):
                    await asyncio.sleep(0.02)
            told = await client.command(session_id, "transfer", {"to": to}, command_id=command_id)
            assert (told.state, told.message) == (state, message)


async def test_a_command_handler_may_end_the_call(gateway: Gateway) -> None:
    session_id = new_id("call")

    async with Publisher(gateway.url, session_id) as call:

        async def carry_out(command: CommandPush) -> None:
            await call.complete(reason=command.payload.get("reason", "supervisor"))

        call.on_command(carry_out, "end")
        await until_accepted(gateway, session_id, ["end"])
        await ask(gateway, session_id, "c1", "end", payload={})
        async with asyncio.timeout(10):
            while call.session is None or call.session.status != "completed":
                await asyncio.sleep(0.02)
    assert call.session.end_reason == "supervisor"
    await until_controls(gateway, session_id, ("requested", "c1"), ("accepted", "c1"), ("done", "c1"))


async def test_after_a_restart_of_the_gateway_the_bot_accepts_again_and_nothing_is_done_twice(
    start_gateway: StartGateway,
) -> None:
    first = await start_gateway()
    session_id = new_id("call")
    done: list[str] = []
    async with Publisher(first.url, session_id) as call:
        call.on_command(lambda command: done.append(command.command_id))
        await until_accepted(first, session_id, STANDARD)
        await ask(first, session_id, "c1")
        await until_controls(first, session_id, ("requested", "c1"), ("accepted", "c1"), ("done", "c1"))
        port = first.port
        await first.stop()
        second = await start_gateway(port=port)
        await until(lambda: second.publishes(session_id), "the bot to be back")
        await until_accepted(second, session_id, STANDARD)
        await ask(second, session_id, "c2")
        async with asyncio.timeout(10):
            while ("done", "c2") not in await controls(second, session_id):
                await asyncio.sleep(0.02)
    assert done == ["c1", "c2"]


async def test_the_command_line_sends_a_command_and_prints_its_states(gateway: Gateway) -> None:
    session_id = new_id("call")
    async with Publisher(gateway.url, session_id) as call:
        call.on_command(lambda command: f"said {command.payload['text']}", "say")
        await until_accepted(gateway, session_id, ["say"])
        arguments = ["command", session_id, "say", "Hello", "--url", gateway.url]
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "done: said Hello")
        refused = await asyncio.to_thread(CliRunner().invoke, app, ["command", session_id, "end", "--url", gateway.url])
        assert (refused.exit_code, "accepts 'end'" in refused.stderr) == (1, True)


# --- without a gateway -----------------------------------------------------------------------------------------------


def opened_at(server_time: datetime) -> Opened:
    session = Session("s", "active", "en", format_time(server_time))
    return Opened(session, 1, 0, None, OpenedLimits(1, 1, 1), format_time(server_time))


def push(command_id: str, expires_at: datetime) -> CommandPush:
    return CommandPush(command_id, "say", {"text": "hi"}, None, format_time(expires_at))


async def settled(commands: Commands) -> list[Accept | CommandResult]:
    for _ in range(5):
        await asyncio.sleep(0)
    said = []
    while (message := commands.next_message()) is not None:
        said.append(message)
    return said


async def test_a_command_delivered_again_is_answered_again_and_not_repeated() -> None:
    done: list[str] = []
    commands = Commands(lambda: None)
    commands.handle(lambda command: done.append(command.command_id), ["say"])
    now = datetime.now(UTC)
    commands.connected(opened_at(now))
    assert await settled(commands) == [Accept(["say"])]
    for _ in range(3):
        commands.received(push("c1", now + timedelta(seconds=10)))
    assert await settled(commands) == [CommandResult("c1", "accepted")] * 3 + [CommandResult("c1", "done")]
    commands.received(push("c1", now + timedelta(seconds=10)))
    assert await settled(commands) == [CommandResult("c1", "done")]
    assert done == ["c1"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [(object(), None), ({"said": 1}, None), ("x" * 2_000_000, "x" * MESSAGE_CHARS), ("half \ud83d", "half ?")],
)
async def test_any_return_value_of_a_handler_leaves_a_result_that_can_be_sent(answer: Any, message: str | None) -> None:
    commands = Commands(lambda: None)
    commands.handle(lambda _: answer, ["say"])
    now = datetime.now(UTC)
    commands.connected(opened_at(now))
    commands.received(push("c1", now + timedelta(seconds=10)))
    results = (await settled(commands))[1:]
    assert results == [CommandResult("c1", "accepted"), CommandResult("c1", "done", message)]


@pytest.mark.parametrize("name", ["", "x" * 257, "\ud83d", 7])
def test_a_name_that_no_command_can_have_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="the name of a command must"):
        Commands(lambda: None).handle(lambda _: None, ["say", name])


async def test_a_result_that_may_be_lost_is_sent_again_on_the_next_connection() -> None:
    commands = Commands(lambda: None)
    commands.handle(lambda _: None, ["say"])
    now = datetime.now(UTC)
    commands.connected(opened_at(now))
    commands.received(push("c1", now + timedelta(seconds=10)))
    await settled(commands)
    commands.connected(opened_at(now))
    assert await settled(commands) == [Accept(["say"]), CommandResult("c1", "done")]


async def test_an_expired_command_is_not_begun_whatever_the_bots_clock_says() -> None:
    commands = Commands(lambda: None)
    commands.handle(lambda _: None, ["say"])
    gateways = datetime.now(UTC) + timedelta(hours=1)
    commands.connected(opened_at(gateways))
    await settled(commands)
    commands.received(push("late", gateways - timedelta(seconds=1)))
    commands.received(push("good", gateways + timedelta(seconds=10)))
    assert [each.command_id for each in await settled(commands) if isinstance(each, CommandResult)] == ["good", "good"]


async def test_when_the_call_ends_what_has_begun_gets_its_end_too() -> None:
    commands = Commands(lambda: None)
    hangs = asyncio.Event()
    commands.handle(lambda _: hangs.wait(), [])  # type: ignore[arg-type, return-value] # what it returns is never seen
    now = datetime.now(UTC)
    commands.connected(opened_at(now))
    in_time = now + timedelta(seconds=10)
    commands.received(CommandPush("a", "whisper", {"text": "x"}, None, format_time(in_time)))
    commands.received(CommandPush("b", "end", {}, None, format_time(in_time)))
    commands.received(CommandPush("c", "say", {"text": "x", "end": True}, None, format_time(in_time)))
    await settled(commands)
    commands.ending()
    assert await settled(commands) == [
        CommandResult("a", "failed", "the call has ended"),
        CommandResult("b", "done"),
        CommandResult("c", "done"),
    ]
    commands.close()


async def test_the_result_of_the_last_command_is_told_before_the_bot_leaves(gateway: Gateway) -> None:
    session_id = new_id("call")
    async with Publisher(gateway.url, session_id) as call:
        carried_out = asyncio.Event()
        call.on_command(lambda _: carried_out.set(), "say")
        await until_accepted(gateway, session_id, ["say"])
        await ask(gateway, session_id, "c1", "say")
        await carried_out.wait()
    await until_controls(gateway, session_id, ("requested", "c1"), ("accepted", "c1"), ("done", "c1"))
