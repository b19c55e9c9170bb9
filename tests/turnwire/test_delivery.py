"""What a publisher sends next, and how it handles replies, tested without a connection."""

from __future__ import annotations

import logging

import pytest

from turnwire import errors
from turnwire.connecting.handshake import Lost
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import (
    Ack,
    AckItem,
    Complete,
    Error,
    Goaway,
    Limits,
    Nack,
    NackItem,
    Opened,
    OpenedLimits,
    Session,
    Shape,
    Signal,
)
from turnwire.publishing.delivery import MAX_NACKS, UNTOLD, Delivery
from turnwire.publishing.event_encoder import EventEncoder
from turnwire.publishing.outbox import Outbox


def opened(last_seq: int = 0, last_event_id: str | None = None) -> Opened:
    session = Session("s", "active", "en", "2026-01-01T00:00:00.000Z", last_seq=last_seq)
    limits = OpenedLimits(max_in_flight=4, max_event_bytes=1000, max_frame_bytes=10_000)
    return Opened(session, 1, last_seq, last_event_id, limits, "2026-01-01T00:00:00.000Z")


@pytest.fixture
def delivery() -> Delivery:
    """Return a delivery that is connected and holds nothing."""
    delivery = Delivery(JSON, Outbox(100), None, None)
    delivery.connected(opened(), 0.0)
    return delivery


def add(delivery: Delivery, *event_ids: str) -> None:
    for event_id in event_ids:
        delivery.outbox.add(EventEncoder(JSON).entry("system", {}, event_id, None, UNTOLD))


def sent(delivery: Delivery) -> list[Shape]:
    """Return everything it has to send now."""
    messages: list[Shape] = []
    while (message := delivery.next_message(0.0)) is not None:
        messages.append(message)
    return messages


def test_a_publisher_sends_nothing_before_opened() -> None:
    delivery = Delivery(JSON, Outbox(100), None, None)
    add(delivery, "a")
    assert sent(delivery) == []


def test_queued_events_are_sent_in_one_frame_and_the_end_after_it(delivery: Delivery) -> None:
    add(delivery, "a", "b", "c")
    delivery.ending = Complete()
    frame, end = sent(delivery)
    assert len(JSON.encode(frame).split(b'"eventId"')) == 4
    assert end == Complete()
    assert sent(delivery) == []


def test_the_end_waits_for_events_beyond_max_in_flight(delivery: Delivery) -> None:
    add(delivery, *"abcdef")
    delivery.ending = Complete()
    assert len(sent(delivery)) == 1
    delivery.received(Ack([AckItem(event_id, seq) for seq, event_id in enumerate("abcd", start=1)]), 0.0)
    assert [type(message).__name__ for message in sent(delivery)] == ["_Append", "Complete"]


def test_complete_is_sent_again_on_a_new_connection(delivery: Delivery) -> None:
    delivery.ending = Complete("failed", "why")
    assert sent(delivery) == [Complete("failed", "why")]
    delivery.disconnected()
    delivery.connected(opened(), 0.0)
    assert sent(delivery) == [Complete("failed", "why")]


def test_a_newer_signal_replaces_an_unsent_one_of_its_key(delivery: Delivery) -> None:
    delivery.add_signal("a", b'{"n":1}')
    delivery.add_signal("b", b'{"n":2}')
    delivery.add_signal("a", b'{"n":3}')
    frames = [JSON.decode_publisher(JSON.encode(message), Limits()) for message in sent(delivery)]
    assert frames == [Signal("b", {"n": 2}), Signal("a", {"n": 3})]


def test_signals_do_not_outlive_their_connection(delivery: Delivery) -> None:
    delivery.add_signal("a", b"{}")
    delivery.disconnected()
    delivery.add_signal("b", b"{}")
    delivery.connected(opened(), 0.0)
    assert sent(delivery) == []


def test_a_publisher_sends_nothing_after_goaway(delivery: Delivery) -> None:
    delivery.received(Goaway("restart", 500), 0.0)
    add(delivery, "a")
    assert sent(delivery) == []
    delivery.disconnected()
    delivery.connected(opened(), 0.0)
    assert len(sent(delivery)) == 1


def test_an_answer_out_of_turn_makes_the_publisher_reconnect(delivery: Delivery) -> None:
    add(delivery, "a", "b")
    sent(delivery)
    with pytest.raises(Lost, match="is next"):
        delivery.received(Ack([AckItem("b", 1)]), 0.0)


def test_a_nack_that_is_not_final_makes_the_publisher_reconnect(delivery: Delivery) -> None:
    add(delivery, "a")
    sent(delivery)
    with pytest.raises(Lost):
        delivery.received(Nack([NackItem("a", ErrorCode.OVERLOADED, "later", True)]), 0.0)
    assert list(delivery.nacks) == []
    assert len(delivery.outbox) == 1


def test_refusals_kept_are_bounded_and_all_are_counted(delivery: Delivery) -> None:
    for number in range(MAX_NACKS + 5):
        add(delivery, str(number))
        sent(delivery)
        delivery.received(Nack([NackItem(str(number), ErrorCode.EVENT_CONFLICT, "no", False)]), 0.0)
    assert (delivery.refused, len(delivery.nacks), delivery.nacks[0].event_id) == (MAX_NACKS + 5, MAX_NACKS, "5")
    with pytest.raises(errors.EventsRejected) as raised:
        delivery.report_nacks(None)
    assert len(raised.value.nacks) == MAX_NACKS
    delivery.report_nacks(None)


def test_an_error_is_final_or_makes_the_publisher_reconnect(delivery: Delivery) -> None:
    with pytest.raises(Lost):
        delivery.received(Error(ErrorCode.INTERNAL, "oops", True), 0.0)
    with pytest.raises(errors.Refused, match="what is this"):
        delivery.received(Error(ErrorCode.INVALID_MESSAGE, "what is this", False), 0.0)


def test_an_error_that_may_be_about_a_signal_is_only_logged(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    delivery.add_signal("a", b"{}")
    sent(delivery)
    with caplog.at_level(logging.WARNING, "turnwire"):
        delivery.received(Error(ErrorCode.INVALID_MESSAGE, "no such signal", False), 0.0)
    assert "no such signal" in caplog.text


def test_a_callback_that_raises_does_not_disturb_the_publisher(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    delivery = Delivery(JSON, Outbox(100), fail, fail)
    delivery.connected(opened(), 0.0)
    add(delivery, "a", "b")
    sent(delivery)
    with caplog.at_level(logging.ERROR, "turnwire"):
        delivery.received(Ack([AckItem("a", 1)]), 0.0)
        delivery.received(Nack([NackItem("b", ErrorCode.INVALID_EVENT, "bad", False)]), 0.0)
    assert [record.message for record in caplog.records] == ["a callback failed"] * 2
    assert len(delivery.outbox) == 0
