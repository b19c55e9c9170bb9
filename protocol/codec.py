"""The only encoders and decoders: frames of bytes to commands, messages to frames of bytes.

Two codecs, one for each subprotocol: `JSON` (text frames) and `MSGPACK` (binary frames). Bodies of REST requests are
decoded here too, so that limits are the same everywhere.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from protocol.errors import ErrorCode, InvalidEvent, InvalidJson, InvalidMessage, TooLarge, TurnwireError
from protocol.messages import (
    Append,
    BadEvent,
    Event,
    EventIn,
    Limits,
    Message,
    PublisherCommand,
    PublisherReply,
    Shape,
    SubscriberCommand,
    SubscriberPush,
)
from protocol.rules import check_event

SUBPROTOCOL_JSON = "turnwire.v1.json"
SUBPROTOCOL_MSGPACK = "turnwire.v1.msgpack"

T = TypeVar("T")


class Batch(Struct, frozen=True):
    """A decoded append: what is good to store, and in their places what is not."""

    events: list[EventIn | BadEvent]


class _RawAppend(Shape, tag_field="type", tag="append"):
    events: list[Raw]


class _RawBatch(Shape):
    events: list[Raw]


class _OnlyId(Shape):
    event_id: Any = None


class _EventsFrame(Shape, tag_field="type", tag="events"):
    ref: str
    session_id: str
    events: Raw


class _SessionFrame(Shape, tag_field="type", tag="session"):
    ref: str
    session: Raw


class _SignalFrame(Shape, tag_field="type", tag="signal"):
    ref: str
    session_id: str
    key: str
    payload: Raw


def _plain_int(value: object) -> object:
    """Integers of a driver's own kind, such as a 64-bit one, are encoded as integers."""
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"cannot encode a {type(value).__name__}")


class Codec:
    """Encodes and decodes one subprotocol's frames. Stateless, shared by all connections."""

    def __init__(self, subprotocol: str, format: Any, *, text: bool) -> None:
        self.subprotocol = subprotocol
        self.text = text
        """Whether frames are text frames (else binary)."""
        self._encoder = format.Encoder(enc_hook=_plain_int)
        self._any_publisher_command = format.Decoder(PublisherCommand)
        self._raw_append = format.Decoder(_RawAppend)
        self._raw_batch = format.Decoder(_RawBatch)
        self._event = format.Decoder(EventIn)
        self._only_id = format.Decoder(_OnlyId)
        self._subscriber_command = format.Decoder(SubscriberCommand)
        self._publisher_reply = format.Decoder(PublisherReply)
        self._subscriber_push = format.Decoder(SubscriberPush)
        self._format = format

    # Gateway side

    def decode_publisher(self, frame: bytes, limits: Limits) -> PublisherCommand | Batch:
        """A publisher's frame. An append comes back as a Batch whose events have been checked.

        Raises InvalidJson or InvalidMessage for a frame that is no command; an `append` with bad events is no error.
        """
        try:
            command: PublisherCommand = self._any_publisher_command.decode(frame)
        except (ValueError, RecursionError) as error:
            return self._decode_event_by_event(frame, limits, error)
        if type(command) is not Append:
            return command
        _check_count(len(command.events), limits)
        if len(frame) > limits.event_bytes:  # one event may be over its limit: only their own bytes can tell
            return self._decode_event_by_event(frame, limits, None)
        return Batch([_checked(event, limits) for event in command.events])

    def _decode_event_by_event(self, frame: bytes, limits: Limits, cause: Exception | None) -> Batch:
        """The slow path: something in the frame is wrong or large, and must not spoil the rest."""
        if isinstance(cause, RecursionError) and self.text:
            frame = prune_deep(frame, limits.depth + _PRUNE_MARGIN)
            try:
                command = self._any_publisher_command.decode(frame)
            except (ValueError, RecursionError) as error:
                cause = error
            else:
                if type(command) is not Append:
                    return command  # type: ignore[return-value]
        try:
            raws = self._raw_append.decode(frame).events
        except (ValueError, RecursionError) as error:
            raise as_turnwire_error(cause or error, limits) from None
        _check_count(len(raws), limits)
        return Batch([self._decode_event(raw, limits) for raw in raws])

    def _decode_event(self, raw: Raw, limits: Limits) -> EventIn | BadEvent:
        try:
            if len(memoryview(raw)) > limits.event_bytes:
                raise TooLarge(f"the event has {len(memoryview(raw))} bytes, over the limit of {limits.event_bytes}")
            return _checked(self._event.decode(raw), limits)
        except TurnwireError as error:
            return BadEvent(self._event_id(raw, limits), error.code, error.message)
        except (ValueError, RecursionError) as error:
            wrong = as_turnwire_error(error, limits)
            return BadEvent(self._event_id(raw, limits), ErrorCode.INVALID_EVENT, wrong.message)

    def _event_id(self, raw: Raw, limits: Limits) -> str | None:
        try:
            event_id = self._only_id.decode(raw).event_id
        except (ValueError, RecursionError):
            return None
        return event_id if isinstance(event_id, str) and 1 <= len(event_id) <= limits.id_chars else None

    def decode_subscriber(self, frame: bytes, limits: Limits) -> SubscriberCommand:
        """A subscriber's frame. Raises InvalidJson or InvalidMessage."""
        command: SubscriberCommand = self._decode(self._subscriber_command, frame, limits)
        return command

    def decode_body(self, body: bytes, kind: type[T], limits: Limits) -> T:
        """A REST body. Raises InvalidJson or InvalidMessage."""
        result: T = self._decode(self._format.Decoder(kind), body, limits)
        return result

    def decode_events_body(self, body: bytes, limits: Limits) -> tuple[list[EventIn], bool]:
        """The body of `POST …/events`: its events, and whether it was a batch.

        Raises InvalidEvent with a text for each bad event, TooLarge, InvalidJson or InvalidMessage.
        """
        probe = self._decode(self._format.Decoder(dict[str, Raw]), body, limits)
        if "events" not in probe:
            event = self._decode_event(Raw(body), limits)
            if isinstance(event, BadEvent):
                raise TurnwireError(event.code, event.message, [event.message])
            return [event], False
        raws = self._decode(self._raw_batch, body, limits).events
        _check_count(len(raws), limits)
        decoded = [self._decode_event(raw, limits) for raw in raws]
        bad = [(index, event) for index, event in enumerate(decoded) if isinstance(event, BadEvent)]
        if bad:
            texts = [f"events[{index}]: {event.message}" for index, event in bad]
            if all(event.code is ErrorCode.TOO_LARGE for _, event in bad):
                raise TurnwireError(ErrorCode.TOO_LARGE, texts[0], texts)
            raise InvalidEvent(texts[0], texts)
        return [event for event in decoded if isinstance(event, EventIn)], True

    def _decode(self, decoder: Any, data: bytes, limits: Limits) -> Any:
        try:
            return decoder.decode(data)
        except RecursionError as error:
            if not self.text:
                raise as_turnwire_error(error, limits) from None
            data = prune_deep(data, limits.depth + _PRUNE_MARGIN)
        except ValueError as error:
            raise as_turnwire_error(error, limits) from None
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError) as error:
            raise as_turnwire_error(error, limits) from None

    def encode(self, message: Message | Shape) -> bytes:
        frame: bytes = self._encoder.encode(message)
        return frame

    def encode_value(self, value: object) -> bytes:
        """Any part of a message, to be put into several frames by the `…_frame` methods."""
        encoded: bytes = self._encoder.encode(value)
        return encoded

    def events_frame(self, ref: str, session_id: str, events: bytes) -> bytes:
        """An `events` push around a list of events that is already encoded."""
        frame: bytes = self._encoder.encode(_EventsFrame(ref, session_id, Raw(events)))
        return frame

    def session_frame(self, ref: str, session: bytes) -> bytes:
        """A `session` push around a session that is already encoded."""
        frame: bytes = self._encoder.encode(_SessionFrame(ref, Raw(session)))
        return frame

    def signal_frame(self, ref: str, session_id: str, key: str, payload: bytes) -> bytes:
        """A `signal` push around a payload that is already encoded."""
        frame: bytes = self._encoder.encode(_SignalFrame(ref, session_id, key, Raw(payload)))
        return frame

    # Client side

    def decode_publisher_reply(self, frame: bytes) -> PublisherReply:
        """Raises msgspec.DecodeError for what no gateway of this version sends."""
        reply: PublisherReply = self._publisher_reply.decode(frame)
        return reply

    def decode_subscriber_push(self, frame: bytes) -> SubscriberPush:
        """Raises msgspec.DecodeError for what no gateway of this version sends."""
        push: SubscriberPush = self._subscriber_push.decode(frame)
        return push

    def decode_event(self, data: bytes) -> Event:
        event: Event = self._format.decode(data, type=Event)
        return event


def _checked(event: EventIn, limits: Limits) -> EventIn | BadEvent:
    try:
        check_event(event, limits)
    except TurnwireError as error:
        known = 1 <= len(event.event_id) <= limits.id_chars
        return BadEvent(event.event_id if known else None, error.code, error.message)
    return event


def _check_count(count: int, limits: Limits) -> None:
    if not 1 <= count <= limits.batch_events:
        raise InvalidMessage(f"events must hold 1 to {limits.batch_events} events, holds {count}")


def as_turnwire_error(error: Exception, limits: Limits) -> TurnwireError:
    """A decoder's error as one of ours: what is not even the format, or what is not a message of it."""
    if isinstance(error, RecursionError):
        return InvalidMessage(f"nested deeper than the limit of {limits.depth} levels")
    if isinstance(error, msgspec.ValidationError):
        return InvalidMessage(str(error), [str(error)])
    if isinstance(error, UnicodeDecodeError):
        return InvalidJson(f"not valid UTF-8: {error.reason} at byte {error.start}")
    return InvalidJson(f"cannot be decoded: {error}")


_PRUNE_MARGIN = 16
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def prune_deep(data: bytes, keep: int) -> bytes:
    """The JSON text with every container below `keep` levels replaced by `null`.

    For texts too deep for a recursive decoder: what is left still breaks the depth limit where the original did, so
    the ordinary checks name the culprit, and what stands beside it is served.
    """
    kept: list[bytes] = []
    depth = start = 0
    for token in _TOKENS.finditer(data):
        mark = data[token.start()]
        if mark in b"[{":
            depth += 1
            if depth == keep + 1:
                kept.append(data[start : token.start()])
                kept.append(b"null")
        elif mark in b"]}":
            if depth == keep + 1:
                start = token.end()
            depth -= 1
    if depth <= keep:
        kept.append(data[start:])
    return b"".join(kept)


JSON = Codec(SUBPROTOCOL_JSON, msgspec.json, text=True)
MSGPACK = Codec(SUBPROTOCOL_MSGPACK, msgspec.msgpack, text=False)
CODECS = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
