"""Passes supervisors' commands on to what a framework can do. Adapters decide how; this module decides when, and that
each command runs once and in time."""

from __future__ import annotations

from typing import Any, Protocol, cast

import msgspec

from turnwire.adapters.target import CommandTarget
from turnwire.protocol.control.commands import STANDARD, End, Say, Whisper
from turnwire.protocol.control.messages import CommandPush


class Speaker(Protocol):
    """Carries out the standard commands in one call.

    Each method returns when the command has been carried out, with a text for the supervisor, or None. Raises
    CommandRefused for a command that cannot be carried out; any other exception means that it failed.
    """

    async def whisper(self, asked: Whisper) -> str | None: ...

    async def say(self, asked: Say) -> str | None: ...

    async def end(self, asked: End) -> str | None: ...


def take_commands(call: CommandTarget, speaker: Speaker, *, ends: bool = True) -> None:
    """Let the speaker carry out the call's standard commands. `ends`: whether it can end the call."""

    async def carry_out(push: CommandPush) -> str | None:
        asked = msgspec.convert(push.payload, STANDARD[push.command])
        deeds: dict[type, Any] = {Whisper: speaker.whisper, Say: speaker.say, End: speaker.end}
        return cast("str | None", await deeds[type(asked)](asked))

    call.on_command(carry_out, *(name for name in STANDARD if ends or name != "end"))
