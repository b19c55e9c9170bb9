"""One subscriber's socket: the sessions and feeds that it watches, and its commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from msgspec import Struct

from turnwire.gateway.access.guests import Guest
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.pages import Pages
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.sockets.asked_commands import AskedCommands, check_ref
from turnwire.gateway.sockets.guest_connection import GuestConnection
from turnwire.gateway.sockets.lagging import Lagging
from turnwire.gateway.sockets.session_subscription import SessionSubscription
from turnwire.gateway.watching.feed import Feed
from turnwire.gateway.watching.feed_subscription import FeedSubscription
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.containers import TooManyContainers
from turnwire.protocol.control.messages import SendCommand
from turnwire.protocol.errors import CloseCode, InvalidMessage, Overloaded, TurnwireError
from turnwire.protocol.messages import (
    REF_CHARS,
    Ping,
    Session,
    Subscribe,
    Subscribed,
    SubscriberCommand,
    Unsubscribe,
    Unsubscribed,
)
from turnwire.protocol.rights import Scope
from turnwire.protocol.rules import check_id
from turnwire.protocol.token_messages import Auth
from turnwire.store.sessions import SessionQuery
from turnwire.store.waiting import storage_deadline

T = TypeVar("T")
Subscription = SessionSubscription | FeedSubscription


class SubscriberParts(Struct, frozen=True):
    """What all subscribers of a gateway share."""

    requests: Requests
    pages: Pages
    feed: Feed
    watching: Watching


class SubscriberConnection(GuestConnection):
    """A connection that watches sessions and the feed. Owns its subscriptions."""

    __slots__ = ("_asked_commands", "_lagging", "_subscriptions", "parts")

    kind = "subscriber"
    patient = True

    def __init__(self, request: web.Request, serving: Serving, guest: Guest, parts: SubscriberParts) -> None:
        super().__init__(request, serving, guest)
        self.parts = parts
        self._subscriptions: dict[str, Subscription] = {}
        self._asked_commands: AskedCommands | None = None
        self._lagging: Lagging | None = None
        """None until a subscription lags for the first time."""

    async def take(self, frame: bytes) -> None:
        try:
            command = await self.decoded(self.codec.decode_subscriber, frame)
            self.bad_in_a_row = 0
            if type(command) is Auth:
                await self.renew(command.token)
            elif self.takes_command():
                await self._handle(command)
        except TooManyContainers as error:
            self.refuse(error)
        except TurnwireError as error:
            self.refuse(error, self.codec.ref_of(frame, self.limits))

    async def _wait_for_turn(self) -> None:
        await super()._wait_for_turn()
        if self.request.transport is None:
            self.close(CloseCode.DONE, "")  # nobody reads the answers to what has arrived

    def is_allowed(self) -> bool:
        principal = self.guest.principal
        return principal.may_any((Scope.READ, Scope.LIST)) and all(
            principal.may(Scope.READ, each.state.session_id)
            if isinstance(each, SessionSubscription)
            else principal.may(Scope.LIST)
            for each in self._subscriptions.values()
        )

    async def _handle(self, command: SubscriberCommand | Auth) -> None:
        match command:
            case Ping():
                self.answer_ping(command)
            case Subscribe():
                self._check(command)
                await (self._watch_feed(command) if command.feed else self._watch_session(command))
            case SendCommand():
                principal = self.guest.principal
                principal.require(Scope.COMMAND, command.session_id)
                if self._asked_commands is None:
                    parts = self.parts
                    self._asked_commands = AskedCommands(self._config, parts.requests, parts.watching, send=self.send)
                try:
                    await self._asked_commands.ask(command, principal.known_as)
                finally:
                    self._turn.waited()
            case Unsubscribe():
                subscription = self._subscriptions.pop(command.ref, None)
                if subscription is None:
                    raise InvalidMessage(f"there is no subscription with ref {command.ref[:REF_CHARS]!r}")
                self._lags_no_more(subscription)
                subscription.close()
                self.send(Unsubscribed(command.ref))

    def _check(self, command: Subscribe) -> None:
        check_ref(command.ref)
        if command.ref in self._subscriptions:
            raise InvalidMessage(f"ref {command.ref!r} is in use; unsubscribe it first, or choose another")
        most = self._config.max_subscriptions
        if len(self._subscriptions) >= most:
            raise Overloaded(f"a connection has at most {most} subscriptions", "subscriptions")
        if command.feed is not None and 0 < self._config.max_feeds <= self._feeds:
            raise Overloaded(f"a connection has at most {self._config.max_feeds} feeds", "feeds")
        if (command.session_id is None) == (command.feed is None):
            raise InvalidMessage('subscribe needs either a sessionId or feed: "sessions"')
        if command.feed is not None and command.after_seq is not None:
            raise InvalidMessage("afterSeq goes with a sessionId, not with a feed")
        if command.after_seq is not None and command.after_seq < 0:
            raise InvalidMessage(f"afterSeq must be 0 or more, is {command.after_seq}")

    @property
    def _feeds(self) -> int:
        return sum(isinstance(each, FeedSubscription) for each in self._subscriptions.values())

    async def _watch_session(self, command: Subscribe) -> None:
        assert command.session_id is not None
        check_id(command.session_id, "sessionId", self.limits)
        self.guest.principal.require(Scope.READ, command.session_id)
        opening = self.parts.requests.open(command.session_id)
        must_ask = self.parts.requests.must_ask(command.session_id)
        live = await (self._in_time(opening) if must_ask else opening)
        self._join(command, live.state)

    async def _in_time(self, answer: Awaitable[T]) -> T:
        """Return an answer of the storage. Raises what `answer` raises, and StorageUnavailable if it takes too long."""
        try:
            async with storage_deadline(self._config.rest_timeout):
                return await answer
        finally:
            self._turn.waited()

    def _join(self, command: Subscribe, state: SessionState) -> None:
        head = state.record.last_seq
        after_seq = head if command.after_seq is None else command.after_seq
        if after_seq > head:
            raise InvalidMessage(f"afterSeq {after_seq} is beyond the session's lastSeq, which is {head}")
        subscription = SessionSubscription(self, self.parts.watching, command.ref, state, after_seq)
        self._subscriptions[command.ref] = subscription
        self.send(Subscribed(command.ref, state.session(), head, self.limits.receive_bytes))
        subscription.start()

    async def _watch_feed(self, command: Subscribe) -> None:
        principal = self.guest.principal
        principal.require(Scope.LIST)
        subscription = FeedSubscription(
            self,
            command.ref,
            self.parts.feed,
            status=tuple(command.status or ()),
            summaries=command.summaries,
            covers=self._covers,
        )
        self._subscriptions[command.ref] = subscription
        try:
            await self._in_time(subscription.start(self._list_sessions, principal.patterns))
        except BaseException:
            self._subscriptions.pop(command.ref, None)
            subscription.close()
            raise

    def _list_sessions(self, query: SessionQuery, show: Callable[[Session], T]) -> Awaitable[list[T]]:
        return self.parts.pages.list_sessions(query, show, self.guest.counted_as)

    def _covers(self, session_id: str) -> bool:
        return self.guest.principal.covers(session_id)  # asked each time: a key's rights may change

    def lags(self, subscription: Subscription) -> None:
        """Call `catch_up` of this subscription, which has more to send than there is room for, when there is room."""
        if self._lagging is None:
            self._lagging = Lagging(self, self.serving.turns)
        self._lagging.add(subscription)

    def give_up(self, subscription: SessionSubscription, reason: TurnwireError) -> None:
        """Drop a subscription because of what has become of its session, and tell the client."""
        if self._subscriptions.get(subscription.ref) is subscription:
            del self._subscriptions[subscription.ref]
        self._lags_no_more(subscription)
        self.send_error(reason, subscription.ref)

    def _lags_no_more(self, subscription: Subscription) -> None:
        if self._lagging is not None:
            self._lagging.drop(subscription)

    async def finish(self) -> None:
        lagging, self._lagging = self._lagging, None  # the two refer to each other
        if lagging is not None:
            lagging.stop()
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()
        if self._asked_commands is not None:
            self._asked_commands.close()
        await super().finish()
