"""The endpoint for subscribers, and one subscriber's socket: `GET /subscribe`."""

from __future__ import annotations

import asyncio
import logging
import sys

from aiohttp import web
from msgspec import Struct

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.guard import guest_of
from turnwire.gateway.access.guests import Guest
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.pages import Pages
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.sockets.asked_commands import AskedCommands, check_ref
from turnwire.gateway.sockets.guest_connection import GuestConnection
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Group
from turnwire.gateway.watching.feed import Feed
from turnwire.gateway.watching.feed_subscription import FeedSubscription
from turnwire.gateway.watching.subscription import EventSubscription, Frames, Watching
from turnwire.protocol.containers import TooManyContainers
from turnwire.protocol.control.messages import SendCommand
from turnwire.protocol.errors import (
    CloseCode,
    ErrorCode,
    InvalidMessage,
    Overloaded,
    SessionErased,
    StorageUnavailable,
    TurnwireError,
)
from turnwire.protocol.messages import (
    REF_CHARS,
    CaughtUp,
    JsonObject,
    Ping,
    SessionPush,
    Subscribe,
    Subscribed,
    SubscriberCommand,
    Unsubscribe,
    Unsubscribed,
)
from turnwire.protocol.rights import Scope
from turnwire.protocol.rules import check_id
from turnwire.protocol.token_messages import Auth
from turnwire.store.on_demand import OnDemandTask
from turnwire.store.waiting import storage_deadline

_log = logging.getLogger("turnwire.subscriber")
_RETRY_SECONDS = 0.2


class SubscriberParts(Struct, frozen=True):
    """What all subscribers of a gateway share."""

    requests: Requests
    pages: Pages
    feed: Feed
    watching: Watching


class SessionSubscription(EventSubscription):
    """A session that is watched over a WebSocket."""

    __slots__ = ("connection", "frame_bytes", "group", "ref")

    def __init__(self, connection: SubscriberConnection, ref: str, state: SessionState, after_seq: int) -> None:
        super().__init__(connection.parts.watching, state, after_seq, connection.outbox)
        self.connection = connection
        self.ref = ref
        self.group: Group = (connection.codec, sys.intern(ref))  # interned: most clients use the same few refs
        self.frame_bytes = connection.outbox.frame_bytes

    def frames(self, batch: EncodedBatch) -> Frames:
        return batch.frames(self.group, self.frame_bytes)

    def signal_frame(self, key: str, payload: JsonObject) -> bytes:
        codec = self.connection.codec
        return self.connection.frame(
            codec.signal_frame(self.ref, self.state.session_id, key, codec.encode_value(payload))
        )

    def session_frame(self) -> bytes:
        return self.connection.framed(SessionPush(self.ref, self.state.session()))

    def caught_up_frame(self) -> bytes:
        return self.connection.framed(CaughtUp(self.ref, self.cursor))

    def fell_behind(self) -> None:
        self.connection.lags(self)

    def session_erased(self) -> None:
        self.connection.give_up(self, SessionErased(self.state.session_id))

    def break_off(self) -> None:
        lost = TurnwireError(ErrorCode.INTERNAL, "the database has lost events of this session; subscribe again")
        self.connection.give_up(self, lost)


Lagging = SessionSubscription | FeedSubscription


class SubscriberConnection(GuestConnection):
    """A connection that watches sessions and the feed. Owns its subscriptions."""

    __slots__ = ("_asked_commands", "_lagging", "_max_subscriptions", "_pump", "_subscriptions", "parts")

    kind = "subscriber"
    patient = True

    def __init__(self, request: web.Request, serving: Serving, guest: Guest, parts: SubscriberParts) -> None:
        super().__init__(request, serving, guest)
        self.parts = parts
        self._max_subscriptions = serving.config.max_subscriptions
        self._subscriptions: dict[str, Lagging] = {}
        self._asked_commands: AskedCommands | None = None
        self._lagging: dict[Lagging, None] = {}
        self._pump = OnDemandTask()

    async def run(self) -> None:
        """Serve the socket until it closes."""
        await self.read(self._take)

    async def _take(self, frame: bytes) -> None:
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
        self.serving.frame_received()

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
                async with storage_deadline(self._config.rest_timeout):
                    await (self._watch_feed(command) if command.feed else self._watch_session(command))
            case SendCommand():
                principal = self.guest.principal
                principal.require(Scope.COMMAND, command.session_id)
                if self._asked_commands is None:
                    parts = self.parts
                    self._asked_commands = AskedCommands(self._config, parts.requests, parts.watching, send=self.send)
                await self._asked_commands.ask(command, principal.known_as)
            case Unsubscribe():
                subscription = self._subscriptions.pop(command.ref, None)
                if subscription is None:
                    raise InvalidMessage(f"there is no subscription with ref {command.ref[:REF_CHARS]!r}")
                self._lagging.pop(subscription, None)
                subscription.close()
                self.send(Unsubscribed(command.ref))

    def _check(self, command: Subscribe) -> None:
        check_ref(command.ref)
        if command.ref in self._subscriptions:
            raise InvalidMessage(f"ref {command.ref!r} is in use; unsubscribe it first, or choose another")
        if len(self._subscriptions) >= self._max_subscriptions:
            raise Overloaded(f"a connection has at most {self._max_subscriptions} subscriptions", "subscriptions")
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
        live = await self.parts.requests.open(command.session_id)
        self._join(command, live.state)

    def _join(self, command: Subscribe, state: SessionState) -> None:
        head = state.record.last_seq
        after_seq = head if command.after_seq is None else command.after_seq
        if after_seq > head:
            raise InvalidMessage(f"afterSeq {after_seq} is beyond the session's lastSeq, which is {head}")
        subscription = SessionSubscription(self, command.ref, state, after_seq)
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
            await subscription.start(self.parts.pages.list_sessions, principal.patterns)
        except BaseException:
            self._subscriptions.pop(command.ref, None)
            subscription.close()
            raise

    def _covers(self, session_id: str) -> bool:
        return self.guest.principal.covers(session_id)  # asked each time: a key's rights may change

    def lags(self, subscription: Lagging) -> None:
        """Call `catch_up` of this subscription, which has more to send than there is room for, when there is room."""
        self._lagging[subscription] = None
        self._pump.wake(self._catch_up)

    def give_up(self, subscription: SessionSubscription, reason: TurnwireError) -> None:
        """Drop a subscription because of what has become of its session, and tell the client."""
        if self._subscriptions.get(subscription.ref) is subscription:
            del self._subscriptions[subscription.ref]
        self._lagging.pop(subscription, None)
        self.send_error(reason, subscription.ref)

    async def _catch_up(self) -> None:
        """Serve the lagging subscriptions in turn, a window each, whenever there is room."""
        while self._lagging:
            for subscription in tuple(self._lagging):
                await self.outbox.room()
                await self.serving.turns.next()  # room can come to many subscribers in the same pass of the loop
                if self.closing is not None:
                    self._lagging.clear()
                    return
                if subscription not in self._lagging:
                    continue
                try:
                    await subscription.catch_up()
                except StorageUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
                except Exception:
                    _log.exception("a subscription cannot be served")
                    self.close(CloseCode.INTERNAL, "the gateway failed; reconnect")
                    return
                if not subscription.behind:
                    self._lagging.pop(subscription, None)

    async def finish(self) -> None:
        self._pump.cancel()
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()
        if self._asked_commands is not None:
            self._asked_commands.close()
        self._lagging.clear()
        await super().finish()


class SubscriberEndpoint:
    """`GET /subscribe`."""

    def __init__(self, serving: Serving, parts: SubscriberParts, access: Access) -> None:
        self._serving = serving
        self._parts = parts
        self._access = access

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """Serve a subscriber's socket."""
        guest = guest_of(request, self._access.reception)
        guest.principal.require_any(Scope.READ, Scope.LIST)
        connection = SubscriberConnection(request, self._serving, guest, self._parts)
        with guest.counted():
            connection.check()
            response = await connection.open()
            guest.opened("subscriber")
            try:
                await connection.run()
            finally:
                await connection.finish()
        return response
