"""Encoders and decoders: frames of bytes to commands, and messages to frames of bytes.

There is one codec for each subprotocol: `JSON` (text frames) and `MSGPACK` (binary frames). Bodies of REST requests
are decoded here too, so that the same limits apply everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw, Struct, UnsetType

from turnwire.protocol.bodies import good_events
from turnwire.protocol.containers import check_containers
from turnwire.protocol.control.commands import check_accept, check_result
from turnwire.protocol.control.messages import Accept, CommandResult
from turnwire.protocol.errors import ErrorCode, InvalidMessage, TooLarge, TurnwireError
from turnwire.protocol.frame_encoder import FrameEncoder
from turnwire.protocol.messages import (
    REF_CHARS,
    Append,
    BadEvent,
    Complete,
    Event,
    EventIn,
    Limits,
    Ping,
    PublisherCommand,
    PublisherReply,
    Signal,
    SubscriberCommand,
    SubscriberPush,
)
from turnwire.protocol.rules import check_end_reason, check_signal
from turnwire.protocol.salvage import UNDECODABLE, as_turnwire_error, decode_salvaging, is_malformed_json
from turnwire.protocol.times import may_round_up
from turnwire.protocol.token_messages import Auth
from turnwire.protocol.undecided import (
    PlainAppend,
    PlainEvent,
    RawAppend,
    RawBatch,
    Refs,
    checked,
    cut_times,
    decode_lines,
    from_plain,
    plain_event,
)
from turnwire.protocol.values import DOLLAR, NUL, PLAIN_DEPTH, is_storable, may_hide_fault

SUBPROTOCOL_JSON = "turnwire.v1.json"
SUBPROTOCOL_MSGPACK = "turnwire.v1.msgpack"

T = TypeVar("T")
_Others = Signal | Complete | Ping | Accept | CommandResult | Auth
"""The messages of a publisher other than events."""
_MOST_BYTES_PER_CHARACTER = 12  # an escaped surrogate pair in JSON
_EVENTS, _ESCAPE = b"events", b"\\u"  # a body with neither cannot hold a list of events


class Batch(Struct, frozen=True):
    """A decoded append: events that may be stored, and a BadEvent in place of each one that may not."""

    events: list[EventIn | BadEvent]


class Codec(FrameEncoder):
    """The encoder and decoder of one subprotocol's frames. Stateless, shared by all connections."""

    def __init__(self, subprotocol: str, format: Any, *, text: bool) -> None:
        super().__init__(format)
        self.subprotocol = subprotocol
        self.text = text
        """Whether frames are text frames; binary frames otherwise."""
        self._format = format
        self._plain_event = format.Decoder(PlainEvent)
        self._plain_command = format.Decoder(PlainAppend | _Others)
        self._publisher_command = format.Decoder(PublisherCommand | Auth)
        self._raw_command = format.Decoder(RawAppend | _Others)
        self._raw_batch = format.Decoder(RawBatch)
        self._fields = format.Decoder(dict[str, Raw])
        self._event = format.Decoder(EventIn)
        self._refs = format.Decoder(Refs)
        self._subscriber_command = format.Decoder(SubscriberCommand | Auth)
        self._any = format.Decoder()
        self._stored_event = format.Decoder(Event)
        self._publisher_reply = format.Decoder(PublisherReply)
        self._subscriber_push = format.Decoder(SubscriberPush)

    # Gateway side

    def decode_publisher(self, frame: bytes, limits: Limits) -> _Others | Batch:
        """Decode a publisher's frame. Return a Batch of checked events for an append.

        Raises InvalidJson or InvalidMessage for a frame that is not a command. An append with bad events does not
        raise.
        """
        check_containers(frame, limits.containers, text=self.text)
        try:
            command = self._plain_command.decode(frame)
        except UNDECODABLE as error:
            if self.text and is_malformed_json(frame, error):
                raise as_turnwire_error(error, limits) from None
            return self._decode_unusual(frame, limits)
        if type(command) is not PlainAppend:
            return self._checked_command(command, len(frame), limits)
        _check_count(len(command.events), limits)
        if may_round_up(frame, text=self.text):
            raws = self._decode(self._raw_command, frame, limits).events
            return Batch([self.decode_new_event(raw, limits) for raw in raws])
        if len(frame) > limits.event_bytes:  # only the bytes of the event itself show whether it is over the limit
            raws = self._decode(self._raw_command, frame, limits).events
            if max(map(_size, raws)) > limits.event_bytes:
                return Batch([self.decode_new_event(raw, limits) for raw in raws])
        clear = limits.depth >= PLAIN_DEPTH and not self._may_hide_fault(frame, command)
        return Batch(from_plain(command.events, limits, clear))

    def decode_appends(self, frames: Sequence[bytes], limits: Limits) -> list[EventIn | BadEvent] | None:
        """Decode frames of a publisher that arrived together. Return the checked events of all of them, in order; None
        if any frame is anything but an ordinary append: they must be decoded one by one.

        Takes little more than half the time of `decode_publisher` for each.
        """
        lines = b"\n".join(frames) if self.text else b""
        if not 0 < len(lines) <= min(limits.event_bytes, limits.containers or len(lines)):
            return None
        events = decode_lines(lines, len(frames), limits.batch_events)
        if events is None or may_round_up(lines, text=True):
            return None
        return from_plain(events, limits, limits.depth >= PLAIN_DEPTH and not may_hide_fault(lines))

    def _may_hide_fault(self, frame: bytes, command: PlainAppend) -> bool:
        """Return whether a payload may break a rule that msgspec has not checked."""
        if self.text:
            return may_hide_fault(frame)
        if NUL not in frame and DOLLAR not in frame:
            return False
        return may_hide_fault(msgspec.json.encode(command))  # tells NUL in a string from NUL in a number

    def _decode_unusual(self, frame: bytes, limits: Limits) -> _Others | Batch:
        """Decode a frame that contains something wrong or unusual, without losing the other events in it. Slow."""
        try:
            command = self._decode(self._publisher_command, frame, limits)
        except TurnwireError as error:
            try:
                command = self._decode(self._raw_command, frame, limits)
            except TurnwireError:
                raise error from None
        if type(command) is not Append and type(command) is not RawAppend:
            return self._checked_command(command, len(frame), limits)
        _check_count(len(command.events), limits)
        if type(command) is Append and len(frame) <= limits.event_bytes and not may_round_up(frame, text=self.text):
            return Batch([checked(event, limits) for event in command.events])
        raws = self._decode(self._raw_command, frame, limits).events
        return Batch([self.decode_new_event(raw, limits) for raw in raws])

    def _checked_command(self, command: Any, size: int, limits: Limits) -> _Others:
        if type(command) is Signal:
            check_signal(command, size, limits)
        elif type(command) is Complete:
            check_end_reason(command.reason, limits)
        elif type(command) is Accept:
            check_accept(command, limits)
        elif type(command) is CommandResult:
            check_result(command, limits)
        elif type(command) is Ping:
            self._check_ping(command, limits)
        other: _Others = command
        return other

    def _check_ping(self, ping: Ping, limits: Limits) -> None:
        """Raise InvalidMessage unless the ref can be sent back unchanged."""
        if isinstance(ping.ref, Raw):
            if 0 < limits.ping_ref_bytes < _size(ping.ref):
                raise InvalidMessage(f"ref has {_size(ping.ref)} bytes, over the limit of {limits.ping_ref_bytes}")
            ref = self._decode(self._any, bytes(ping.ref), limits)
            if not is_storable({"ref": ref}, limits.depth + 1):
                raise InvalidMessage(f"ref must be a JSON value of no more than {limits.depth} levels, as in a payload")

    def decode_new_event(self, raw: Raw | bytes, limits: Limits) -> EventIn | BadEvent:
        """Decode and check one event."""
        try:
            if _size(raw) > limits.event_bytes:
                raise TooLarge(f"the event has {_size(raw)} bytes, over the limit of {limits.event_bytes}")
            cut = cut_times(raw, EventIn, self._format) if may_round_up(raw, text=self.text) else raw
            return checked(self._event.decode(cut), limits)
        except TurnwireError as error:
            return BadEvent(self._event_id(raw, limits), error.code, error.message)
        except UNDECODABLE as error:
            wrong = as_turnwire_error(error, limits)
            return BadEvent(self._event_id(raw, limits), ErrorCode.INVALID_EVENT, wrong.message)

    def _event_id(self, raw: Raw | bytes, limits: Limits) -> str | None:
        try:
            event_id = self._short(self._refs.decode(raw).event_id, limits.id_chars)
        except UNDECODABLE:
            return None
        return event_id if isinstance(event_id, str) and 1 <= len(event_id) <= limits.id_chars else None

    def decode_subscriber(self, frame: bytes, limits: Limits) -> SubscriberCommand | Auth:
        """Decode a subscriber's frame. Raises InvalidJson or InvalidMessage."""
        check_containers(frame, limits.containers, text=self.text)
        command: SubscriberCommand | Auth = self._decode(self._subscriber_command, frame, limits)
        if isinstance(command, Ping):
            self._check_ping(command, limits)
        return command

    def ref_of(self, frame: bytes, limits: Limits) -> str | None:
        """Return the ref of a frame that `decode_subscriber` refused, or None if it has no valid ref."""
        try:
            ref = self._short(self._decode(self._refs, frame, limits).ref, REF_CHARS)
        except (TurnwireError, *UNDECODABLE):
            return None
        return ref if isinstance(ref, str) and 1 <= len(ref) <= REF_CHARS else None

    def _short(self, raw: Raw | UnsetType, chars: int) -> Any:
        """Return the decoded value, or None if it is too long for a text of `chars` characters."""
        if isinstance(raw, UnsetType) or _size(raw) > chars * _MOST_BYTES_PER_CHARACTER + 2:
            return None
        return self._any.decode(raw)

    def decode_body(self, body: bytes, kind: type[T], limits: Limits) -> T:
        """Decode a REST body into `kind`. Raises InvalidJson or InvalidMessage."""
        check_containers(body, limits.containers, text=self.text)
        cut = cut_times(body, kind, self._format) if may_round_up(body, text=self.text) else body
        return cast("T", self._decode(self._format.Decoder(kind), bytes(cut), limits))

    def decode_events_body(self, body: bytes, limits: Limits) -> tuple[list[EventIn], bool]:
        """Decode the body of `POST …/events`: return its events, and whether it was a batch.

        Raises MalformedEvent, with one text for each bad event, TooLarge, InvalidJson or InvalidMessage.
        """
        check_containers(body, limits.containers, text=self.text)
        if _EVENTS not in body and _ESCAPE not in body:
            plain = plain_event(self._plain_event, body, limits) if self.text else None
            only = self.decode_new_event(body, limits) if plain is None else from_plain([plain], limits, True)[0]
            if isinstance(only, EventIn):
                return [only], False
        raws, is_batch = self.split_events_body(body, limits)
        decoded = [self.decode_new_event(raw, limits) for raw in raws]
        return good_events(decoded, is_batch=is_batch), is_batch

    def split_events_body(self, body: bytes, limits: Limits) -> tuple[list[Raw], bool]:
        """Return the undecoded events of the body of `POST …/events`, and whether it was a batch.

        Raises TooLarge, InvalidJson or InvalidMessage.
        """
        check_containers(body, limits.containers, text=self.text)
        probe = self._decode(self._fields, body, limits)
        if "events" not in probe:
            return [Raw(body.strip() if self.text else body)], False
        raws: list[Raw] = self._decode(self._raw_batch, body, limits).events
        _check_count(len(raws), limits)
        return raws, True

    def _decode(self, decoder: Any, data: bytes, limits: Limits) -> Any:
        """Decode `data`, replacing what the decoder cannot read. Raises InvalidJson or InvalidMessage."""
        return decode_salvaging(decoder, data, limits, text=self.text)

    # Client side

    def decode_publisher_reply(self, frame: bytes) -> PublisherReply:
        """Decode a reply to a publisher. Raises msgspec.DecodeError for a message that no gateway of this version
        sends."""
        return cast("PublisherReply", self._decode_trusted(self._publisher_reply, frame))

    def decode_subscriber_push(self, frame: bytes) -> SubscriberPush:
        """Decode a push to a subscriber. Raises msgspec.DecodeError for a message that no gateway of this version
        sends."""
        return cast("SubscriberPush", self._decode_trusted(self._subscriber_push, frame))

    def decode_event(self, data: bytes) -> Event:
        """Decode a stored event. Raises msgspec.DecodeError for a message that no gateway of this version sends."""
        return cast("Event", self._decode_trusted(self._stored_event, data))

    def _decode_trusted(self, decoder: Any, data: bytes) -> Any:
        try:
            return decoder.decode(data)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error


def _size(raw: Raw | bytes) -> int:
    return len(memoryview(raw))


def _check_count(count: int, limits: Limits) -> None:
    if not 1 <= count <= limits.batch_events:
        raise InvalidMessage(f"events must hold 1 to {limits.batch_events} events, holds {count}")


JSON = Codec(SUBPROTOCOL_JSON, msgspec.json, text=True)
MSGPACK = Codec(SUBPROTOCOL_MSGPACK, msgspec.msgpack, text=False)
CODECS = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
