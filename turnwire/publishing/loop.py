"""Keeping a publisher connected: opening connections, moving frames both ways, and retrying."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import msgspec

from turnwire.client import Client
from turnwire.connecting.backoff import seconds_asked
from turnwire.connecting.handshake import Lost
from turnwire.connecting.link import Link, open_link
from turnwire.connecting.patience import Patience
from turnwire.connecting.tokens import TokenSource
from turnwire.errors import SessionEnded, Unreachable, refusal
from turnwire.protocol.codec import Codec
from turnwire.protocol.messages import Ack, Error, Goaway, Nack, Opened, PublisherReply
from turnwire.protocol.token_messages import Expiring
from turnwire.publishing.call import Call
from turnwire.publishing.delivery import Delivery

log = logging.getLogger("turnwire")

OPENED_TIMEOUT = 40.0
"""Seconds to wait for `opened`; longer than the gateway waits for its storage."""
ANSWER_TIMEOUT = 60.0
"""Seconds that an answer may be overdue before the connection is reopened; also longer than the gateway waits."""
LAST_WORD = 1.0
"""Seconds to wait for a close code after sending has failed."""
STEADY = 5.0
"""Seconds a connection must last for the next attempt to count as a first one."""


class PublisherLoop:
    """The task of one publisher, which carries its Delivery across connections. `run` owns the delivery."""

    def __init__(self, call: Call, *, codec: Codec, delivery: Delivery, http: aiohttp.ClientSession) -> None:
        self.work = asyncio.Event()
        """Set when there may be something to send."""
        self.changed = asyncio.Event()
        """Set and cleared at every change, to wake waiting tasks."""
        self._call = call
        self._codec = codec
        self._delivery = delivery
        self._http = http
        self._token = TokenSource(call.token)
        self._patience = Patience(call.connect_timeout, f"publisher of {call.session_id!r}")
        self._created = call.metadata is None
        self._answered_at = 0.0

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt to connect failed."""
        return self._patience.last_problem

    async def run(self) -> None:
        """Run until the session has been completed.

        Raises SessionEnded if it ended otherwise, Unreachable once the gateway has been away for too long, Refused if
        the gateway refuses for good.
        """
        while not self._delivery.ended:
            try:
                try:
                    await self._connect()
                except SessionEnded as ended:
                    await self._settle_from_log(ended)
            except Lost as lost:
                await self._patience.pause(lost)

    async def _connect(self) -> None:
        """Run one connection, from its handshake to its end."""
        if not self._created:
            await self._create()
        query = [] if self._call.language is None else [("language", self._call.language)]
        url = self._call.address.websocket("sessions", self._call.session_id, "publish", query=query)
        async with open_link(self._http, url, self._codec, self._token) as link:
            opened = await self._opening(link)
            link.pings_come_every(opened.limits.ping_interval_ms / 1000)
            since = _now()
            self._patience.limit = self._call.give_up_after
            self._delivery.connected(opened, since)
            self._patience.connected(len(self._delivery.outbox))
            self._announce()
            try:
                await self._exchange(link)
            finally:
                self._delivery.disconnected()
                self._patience.seen()
                if _now() - since >= STEADY:
                    self._patience.progress()

    async def _create(self) -> None:
        try:
            client = self._client()
            await client.create(self._call.session_id, self._call.language or "en", metadata=self._call.metadata)
        except Unreachable as error:
            raise Lost(str(error)) from None
        self._created = True

    def _client(self) -> Client:
        return Client(str(self._call.address), token=self._call.token, http=self._http)

    async def _opening(self, link: Link) -> Opened:
        try:
            async with asyncio.timeout(OPENED_TIMEOUT):
                reply = None
                while reply is None:
                    reply = self._decoded(await link.receive())
        except TimeoutError:
            raise Lost("the gateway did not open the session in time") from None
        if isinstance(reply, Opened):
            return reply
        if isinstance(reply, Goaway):
            raise Lost(reply.reason, seconds_asked(reply.reconnect_after_ms), announced=True)
        if isinstance(reply, Error) and not reply.retryable:
            raise refusal(reply.message, reply.code)
        raise Lost(reply.message if isinstance(reply, Error) else "the gateway did not open the session")

    async def _exchange(self, link: Link) -> None:
        """Read and send until one of them ends. Prefer the reader's result: it knows the close code."""
        reader = asyncio.create_task(self._read(link))
        sender = asyncio.create_task(self._send(link))
        try:
            await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                await asyncio.wait({reader}, timeout=LAST_WORD)
            ended = reader if reader.done() else sender
        finally:
            reader.cancel()
            sender.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)
        ended.result()

    async def _read(self, link: Link) -> None:
        while not self._delivery.ended:
            reply = self._decoded(await link.receive())
            if reply is None:
                continue
            if isinstance(reply, Goaway):
                link.retry_after = seconds_asked(reply.reconnect_after_ms)
            elif isinstance(reply, Expiring):
                link.renew_token()
            self._answered_at = _now()
            self._delivery.received(reply, self._answered_at)
            if isinstance(reply, Ack | Nack):
                self._patience.progress()
            self._announce()

    async def _send(self, link: Link) -> None:
        try:
            while True:
                self.work.clear()
                if not self._delivery.awaits_answer:
                    self._answered_at = _now()
                while (message := self._delivery.next_message(_now())) is not None:
                    async with asyncio.timeout(ANSWER_TIMEOUT):  # the gateway may have stopped reading
                        await link.send(message)
                self.changed.set()  # a publisher that is leaving also waits for messages that get no answer
                self.changed.clear()
                due = self._answered_at + ANSWER_TIMEOUT if self._delivery.awaits_answer else None
                async with asyncio.timeout_at(due):
                    await self.work.wait()
        except TimeoutError:
            raise Lost(f"no answer for {ANSWER_TIMEOUT:g} s") from None

    def _decoded(self, frame: bytes) -> PublisherReply | None:
        """Decode a reply; return None for one that this version does not know."""
        try:
            return self._codec.decode_publisher_reply(frame)
        except msgspec.DecodeError as error:
            log.warning("skipped a message of the gateway: %s", error)
            return None

    async def _settle_from_log(self, ended: SessionEnded) -> None:
        """After the session's end, find out from the log which events of the outbox are stored. Raises SessionEnded."""
        client = self._client()
        wanted = {entry.event_id for entry in self._delivery.outbox}
        try:
            session = await client.get(self._call.session_id)
            stored = {}
            if wanted:
                stored = {e.event_id: e async for e in client.export(self._call.session_id) if e.event_id in wanted}
        except Unreachable as error:
            raise Lost(str(error)) from None
        self._delivery.end(session, stored, _now())
        late = len(self._delivery.outbox)
        message = f"session {self._call.session_id!r} ended at {session.ended_at} and takes no new events"
        if late:
            message += f"; {late} came too late and are not stored"
        raise SessionEnded(message, code=ended.code, status=ended.status, close_code=ended.close_code)

    def _announce(self) -> None:
        self.work.set()
        self.changed.set()
        self.changed.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
