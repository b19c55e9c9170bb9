"""Supervisors' commands to a bot while it publishes: each is carried out once, and its result is reported."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from turnwire.errors import CommandRefused
from turnwire.protocol.control.commands import STANDARD
from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult, ResultState
from turnwire.protocol.errors import MESSAGE_CHARS
from turnwire.protocol.messages import Opened
from turnwire.protocol.times import parse_time
from turnwire.publishing.call import check_text

log = logging.getLogger("turnwire")

CommandHandler = Callable[[CommandPush], Awaitable[str | None] | str | None]
"""A function that carries out a command. A string that it returns is sent with the result; anything else is not.

Raising CommandRefused refuses the command. Any other error means that it failed.
"""
MAX_COMMAND = 256
_REMEMBERED = 1000
"""Maximum number of commands whose ids and results are kept. A command is delivered for a minute at most."""


class _Known(Struct):
    ends_call: bool
    result: CommandResult | None = None
    """The last result."""


class Commands:
    """The commands of one publisher, across connections. Belongs to the publisher's event loop."""

    def __init__(self, wake: Callable[[], None], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`wake` is called when there is something to send. The clock gives the time of day."""
        self._wake = wake
        self._clock = clock
        self._handlers: dict[str, CommandHandler] = {}
        self._known: dict[str, _Known] = {}
        self._results: deque[CommandResult] = deque()
        self._unsure: list[CommandResult] = []
        """Final results sent on the present connection, which the gateway may not have read."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._accept_due = False
        self._ahead = timedelta()
        """How far the gateway's clock is ahead of this machine's."""

    def handle(self, handler: CommandHandler, commands: Sequence[str]) -> None:
        """Call the handler for these commands from now on; for the standard ones if none is named.

        Raises ValueError for a name that no gateway accepts.
        """
        for command in commands:
            check_text(command, "name of a command", MAX_COMMAND)
        for command in commands or STANDARD:
            self._handlers[command] = handler
        self._accept_due = True
        self._wake()

    def connected(self, opened: Opened) -> None:
        """On a new connection, send again the accepted commands, and the results that may not have been read."""
        self._ahead = parse_time(opened.server_time) - self._clock()
        self._accept_due = bool(self._handlers)
        self._results.extendleft(reversed(self._unsure))
        self._unsure = []

    @property
    def has_news(self) -> bool:
        """Whether there is something to send."""
        return self._accept_due or bool(self._results)

    def next_message(self) -> Accept | CommandResult | None:
        """Return the message to send now, or None."""
        if self._accept_due:
            self._accept_due = False
            return Accept(list(self._handlers))
        if not self._results:
            return None
        result = self._results.popleft()
        if result.state != "accepted":
            self._unsure = [*self._unsure[-_REMEMBERED:], result]
        return result

    def received(self, push: CommandPush) -> None:
        """Start a new command unless it has expired. For a known one, send its result again."""
        known = self._known.get(push.command_id)
        handler = self._handlers.get(push.command)
        if known is not None:
            if known.result is not None:
                self._results.append(known.result)
        elif handler is not None and self._clock() + self._ahead < parse_time(push.expires_at):
            self._remember(push)
            self._report(push.command_id, "accepted")
            task = asyncio.create_task(self._carry_out(handler, push), name=f"command {push.command_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _remember(self, push: CommandPush) -> None:
        ends_call = push.command == "end" or push.payload.get("end") is True
        self._known[push.command_id] = _Known(ends_call)
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    async def _carry_out(self, handler: CommandHandler, push: CommandPush) -> None:
        try:
            answer = handler(push)
            message = await answer if inspect.isawaitable(answer) else answer
        except CommandRefused as refused:
            self._report(push.command_id, "refused", str(refused) or None)
        except Exception as error:
            log.exception("the command %r failed", push.command)
            self._report(push.command_id, "failed", f"{type(error).__name__}: {error}")
        else:
            self._report(push.command_id, "done", message if isinstance(message, str) else None)

    def _report(self, command_id: str, state: ResultState, message: str | None = None) -> None:
        known = self._known.get(command_id)
        if known is None or (known.result is not None and known.result.state != "accepted"):
            return
        known.result = CommandResult(command_id, state, None if message is None else _sendable(message))
        self._results.append(known.result)
        self._wake()

    def ending(self) -> None:
        """Report an end for each started command, because the session's end is requested and no report can follow it.

        A command that ends the call is done. The others have failed.
        """
        for command_id, known in self._known.items():
            if known.ends_call:
                self._report(command_id, "done")
            else:
                self._report(command_id, "failed", "the call has ended")

    def close(self) -> None:
        """Cancel the commands being carried out."""
        for task in self._tasks:
            task.cancel()


def _sendable(message: str) -> str:
    """Return the text in the form that a gateway accepts: of limited length, and without lone surrogates."""
    return message[:MESSAGE_CHARS].encode(errors="replace").decode()
