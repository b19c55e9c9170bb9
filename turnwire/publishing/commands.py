"""What a bot is asked to do while it publishes: each command is begun once, and its result is told."""

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
from turnwire.protocol.messages import Opened
from turnwire.protocol.times import parse_time

log = logging.getLogger("turnwire")

CommandHandler = Callable[[CommandPush], Awaitable[str | None] | str | None]
"""Carries out a command. What it returns goes with the result; raising CommandRefused refuses, all else has failed."""
_REMEMBERED = 1000
"""Commands whose ids and results are kept. A command is delivered for a minute at most."""


class _Known(Struct):
    ends_call: bool
    result: CommandResult | None = None
    """The last one."""


class Commands:
    """The commands of one publisher, over all its connections. Belongs to the event loop the publisher is in."""

    def __init__(self, wake: Callable[[], None], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`wake` is told when there is something to send. The clock gives the time of day."""
        self._wake = wake
        self._clock = clock
        self._handlers: dict[str, CommandHandler] = {}
        self._known: dict[str, _Known] = {}
        self._results: deque[CommandResult] = deque()
        self._unsure: list[CommandResult] = []
        """Final results sent on the present connection: the gateway may not have read them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._accept_due = False
        self._ahead = timedelta()
        """How far the gateway's clock is ahead of ours."""

    def handle(self, handler: CommandHandler, commands: Sequence[str]) -> None:
        """Have these carried out by the handler, from now on; the standard ones when none is named."""
        for command in commands or STANDARD:
            self._handlers[command] = handler
        self._accept_due = True
        self._wake()

    def connected(self, opened: Opened) -> None:
        """A connection is open: say again what is carried out, and what may not have been heard."""
        self._ahead = parse_time(opened.server_time) - self._clock()
        self._accept_due = bool(self._handlers)
        self._results.extendleft(reversed(self._unsure))
        self._unsure = []

    @property
    def has_news(self) -> bool:
        """Whether there is something to send."""
        return self._accept_due or bool(self._results)

    def next_message(self) -> Accept | CommandResult | None:
        """What to send now."""
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
        """Begin it, if it is new and not too old; what became of a known one is said again."""
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
            self._report(push.command_id, "done", message)

    def _report(self, command_id: str, state: ResultState, message: str | None = None) -> None:
        known = self._known.get(command_id)
        if known is None or (known.result is not None and known.result.state != "accepted"):
            return
        known.result = CommandResult(command_id, state, message)
        self._results.append(known.result)
        self._wake()

    def ending(self) -> None:
        """The session's end is asked for, and nothing can be said later: what was to end it is done, all else that has
        begun will not be."""
        for command_id, known in self._known.items():
            if known.ends_call:
                self._report(command_id, "done")
            else:
                self._report(command_id, "failed", "the call has ended")

    def close(self) -> None:
        """Carry out nothing more."""
        for task in self._tasks:
            task.cancel()
