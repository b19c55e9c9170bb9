"""What a supervisor asks, passed on to what a framework can do. An adapter says how; when, once and in time is ours."""

from __future__ import annotations

from typing import Any, Protocol, cast

import msgspec

from turnwire.adapters.target import CommandTarget
from turnwire.protocol.control.commands import STANDARD, End, Say, Whisper
from turnwire.protocol.control.messages import CommandPush


class Speaker(Protocol):
    """Carries out the standard commands in one call.

    Each returns when it is done, with a text for whoever has asked, or None. Raises CommandRefused for what cannot be
    done; any other exception is a failure.
    """

    async def whisper(self, asked: Whisper) -> str | None: ...

    async def say(self, asked: Say) -> str | None: ...

    async def end(self, asked: End) -> str | None: ...


def take_commands(call: CommandTarget, speaker: Speaker, *, ends: bool = True) -> None:
    """Have the call's standard commands carried out by the speaker. `ends`: it can end the call."""

    async def carry_out(push: CommandPush) -> str | None:
        asked = msgspec.convert(push.payload, STANDARD[push.command])
        deeds: dict[type, Any] = {Whisper: speaker.whisper, Say: speaker.say, End: speaker.end}
        return cast("str | None", await deeds[type(asked)](asked))

    call.on_command(carry_out, *(name for name in STANDARD if ends or name != "end"))
