"""The commands that one subscriber has sent, and the reports of their progress."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.clock import utc_now
from turnwire.gateway.config import Config
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.watching.command_watch import CommandWatch
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.control.commands import Command, Outcome, check_command, standard_payload, ttl_of
from turnwire.protocol.control.messages import CommandStatePush, SendCommand
from turnwire.protocol.errors import InvalidMessage, Overloaded
from turnwire.protocol.messages import REF_CHARS
from turnwire.protocol.rules import check_id
from turnwire.store.waiting import storage_deadline


class AskedCommands:
    """The commands that a connection watches. There may be as many as it may have subscriptions."""

    def __init__(
        self,
        config: Config,
        requests: Requests,
        watching: Watching,
        *,
        send: Callable[[CommandStatePush], None],
    ) -> None:
        self._config = config
        self._requests = requests
        self._watching = watching
        self._send = send
        self._watches: dict[CommandWatch, None] = {}

    async def ask(self, asked: SendCommand, by: str | None) -> None:
        """Send a command to a bot, and report its state to the subscriber until it is final. `by` names the person who
        asks.

        Raises what `Requests.command` raises, and InvalidMessage.
        """
        limits = self._config.limits
        check_ref(asked.ref)
        check_id(asked.session_id, "sessionId", limits)
        check_command(asked.command_id, asked.command, asked.payload, None, limits)
        if len(self._watches) >= self._config.max_subscriptions:
            raise Overloaded(
                f"a connection follows at most {self._config.max_subscriptions} commands", "commands_followed"
            )
        payload = standard_payload(asked.command, asked.payload)
        command = Command(asked.command_id, asked.command, payload, by, utc_now() + ttl_of(asked.command, None))
        async with storage_deadline(self._config.rest_timeout):
            live = await self._requests.open(asked.session_id)
        with live.held() as state:
            watch = self._watch(asked, state)
            try:
                answer = await self._requests.command(asked.session_id, command)
            except BaseException:
                self._watches.pop(watch, None)
                watch.close()
                raise
            watch.start(answer.outcome)

    def _watch(self, asked: SendCommand, state: SessionState) -> CommandWatch:
        def tell(outcome: Outcome) -> None:
            self._send(CommandStatePush(asked.ref, asked.command_id, outcome.state, outcome.message))

        def ended(watch: CommandWatch) -> None:
            self._watches.pop(watch, None)

        watch = CommandWatch(self._watching, state, asked.command_id, tell=tell, ended=ended)
        self._watches[watch] = None
        return watch

    def close(self) -> None:
        """Stop watching all commands."""
        for watch in self._watches:
            watch.close()
        self._watches.clear()


def check_ref(ref: str) -> None:
    """Raise InvalidMessage unless the ref has a valid length."""
    if not 1 <= len(ref) <= REF_CHARS:
        raise InvalidMessage(f"ref must have 1 to {REF_CHARS} characters, has {len(ref)}")
