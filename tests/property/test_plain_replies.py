"""A reply is recognized only if the driver itself would read it as a success that says the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pymongo import helpers_shared, message
from pymongo.errors import PyMongoError

from tests.property.wire_values import json_values, search
from turnwire.store.driver.replies import PlainReplies
from turnwire.store.lanes.inserts import said_by

Document = dict[str, Any]

AT = Timestamp(1_764_420_000, 3)
ELECTION = ObjectId("7fffffff0000000000000001")


def _newest(hash_: bytes = bytes(20), key: int = 7_400_000_000_000_000_001) -> Document:
    return {"clusterTime": AT, "signature": {"hash": hash_, "keyId": Int64(key)}}


def _of_a_member(**more: Any) -> Document:
    """Return the reply to an insert as a member of a replica set sends it, since 4.4."""
    times = {"$clusterTime": _newest(), "operationTime": AT}
    return {"n": 1, "electionId": ELECTION, "opTime": {"ts": AT, "t": Int64(1)}, "ok": 1.0, **times, **more}


REPLIES: dict[str, Document] = {
    "standalone": {"n": 1, "ok": 1.0},
    "embedded": {"n": 1, "ok": 1.0, "operationTime": AT, "$clusterTime": _newest()},
    "member": _of_a_member(),
    "many": _of_a_member(n=5000),
    "signed": _of_a_member(**{"$clusterTime": _newest(bytes(range(20)))}),
    "old protocol": _of_a_member(opTime=AT),
    "no times yet": _of_a_member(operationTime=Timestamp(0, 0)),
    "other types": {"n": Int64(1), "ok": 1, "operationTime": AT},
    "truth": {"n": 1.0, "ok": True},
    "a name in the hash": {"$clusterTime": _newest(bytes(16) + b"\x11ts\0"), "ok": 1.0, "n": 1},
    "a name in a string": {"electionId": "\x11operationTime", "n": 1, "ok": 1.0, "operationTime": AT},
    "a name before the count": {"electionId": ObjectId(bytes(8) + b"\x11ts\0"), "n": 1, "ok": 1.0},
    "a name at the end": {"n": 1, "ok": 1.0, "electionId": Binary(b"\x11clusterTime\0", 128)},
    "the same name twice": {"n": 1, "$clusterTime": {"clusterTime": AT, "x": {"clusterTime": AT}}, "ok": 1.0},
    "a name elsewhere": {"n": 1, "ok": 1.0, "electionId": {"operationTime": AT, "ts": AT}},
    "errors": _of_a_member(writeErrors=[{"index": 0, "code": 11000, "errmsg": "duplicate"}]),
    "not on a majority": _of_a_member(writeConcernError={"code": 64, "errmsg": "waiting timed out"}),
    "labels": _of_a_member(errorLabels=["RetryableWriteError"]),
    "failed": {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"},
    "failed without a word": {"n": 1, "ok": 0.0},
    "silent": {"n": 1},
}


def message_with(document: Document, flags: int = 0) -> bytes:
    """Return the message after its head."""
    return flags.to_bytes(4, "little") + b"\0" + bson.encode(document)


def read(reply: bytes) -> Document | None:
    """Return what the driver reads; None if it raises anything."""
    try:
        [document] = message._OpMsg.unpack(memoryview(reply)).unpack_response()
        helpers_shared._check_command_response(document, 21)
    except Exception:
        return None
    return document


def said(document: Document) -> Document:
    """Return what a reply says, without the counters of its times."""

    def without(value: Any) -> Any:
        if isinstance(value, Timestamp):
            return Timestamp(value.time, 0)
        return {name: without(each) for name, each in value.items()} if isinstance(value, dict) else value

    return {name: without(value) for name, value in document.items()}


def taught(*replies: bytes) -> PlainReplies:
    """Return a recognizer that has seen these replies, as a connection teaches it."""
    known = PlainReplies()
    for reply in replies:
        document = read(reply)
        if document is not None:
            known.keep(bytearray(reply), document)
    return known


def check(known: PlainReplies, reply: bytes) -> bool:
    """Compare the verdict on a reply with the driver's. Return whether it was recognized."""
    found = known.find(bytearray(reply))
    if found is None:
        return False
    actual = read(reply)
    assert actual is not None, "the driver would fail"
    assert list(said(actual).items()) == list(said(found).items())
    assert found["ok"]
    assert not found.keys() & {"writeErrors", "writeConcernError", "errorLabels", "code", "errmsg"}
    return True


def _neighbours(reply: bytes) -> Iterator[bytes]:
    """Yield the reply with each bit changed, cut off at each byte, and with bytes that are left out or added."""
    for at, byte in enumerate(reply):
        for bit in range(8):
            yield reply[:at] + bytes([byte ^ 1 << bit]) + reply[at + 1 :]
        yield reply[:at]
        yield reply[:at] + reply[at + 1 :]
        yield reply[:at] + b"\0" + reply[at:]
    yield reply + bytes(4)


@pytest.mark.parametrize("name", REPLIES)
def test_whatever_bit_of_a_known_reply_changes_only_what_says_the_same_is_recognized(name: str) -> None:
    reply = message_with(REPLIES[name])
    known = taught(reply)
    for other in _neighbours(reply):
        check(known, other)


@pytest.mark.parametrize("name", ["standalone", "embedded", "member", "many", "signed"])
def test_replies_as_servers_send_them_are_recognized(name: str) -> None:
    reply = message_with(REPLIES[name])
    assert check(taught(reply), reply)


@pytest.mark.parametrize("name", ["errors", "not on a majority", "labels", "failed", "failed without a word", "silent"])
def test_a_reply_that_is_no_plain_success_is_never_recognized(name: str) -> None:
    reply = message_with(REPLIES[name])
    known = taught(message_with(_of_a_member()), reply)
    assert not check(known, reply)


def test_a_reply_with_flags_is_not_kept() -> None:
    more_to_come = message_with(_of_a_member(), message._OpMsg.MORE_TO_COME)
    assert read(more_to_come) is not None
    assert not check(taught(more_to_come), more_to_come)


def test_after_a_reply_of_another_form_the_verdicts_stay_right() -> None:
    for one, other in pairwise([*REPLIES.values(), *reversed(REPLIES.values())]):
        known = taught(message_with(one), message_with(other))
        for reply in REPLIES.values():
            check(known, message_with(reply))


_values = st.sampled_from(
    [0, 1, 2, True, False, 1.0, 0.0, Int64(1), None, AT, Timestamp(0, 0), ELECTION, _newest(), {}]
)
_others = st.dictionaries(
    st.sampled_from(["n", "ok", "opTime", "operationTime", "$clusterTime", "writeErrors", "errmsg"]), _values
)


@search(200)
@given(st.lists(st.tuples(st.sampled_from(sorted(REPLIES)), _others, st.booleans()), min_size=2, max_size=6))
def test_the_driver_would_have_read_the_same(steps: list[tuple[str, Document, bool]]) -> None:
    known = PlainReplies()
    for name, changes, backwards in steps:
        document = {**REPLIES[name], **changes}
        reply = message_with(dict(reversed(document.items())) if backwards else document)
        actual = read(reply)
        if not check(known, reply) and actual is not None:
            known.keep(bytearray(reply), actual)
            check(known, reply)


_errors = st.lists(
    st.fixed_dictionaries({"index": st.integers(-1, 3) | json_values, "code": st.just(11000)}), max_size=2
)


@search(300)
@given(
    st.fixed_dictionaries(
        {"ok": st.just(1.0)},
        optional={
            "n": st.integers(0, 3) | json_values,
            "writeErrors": _errors | json_values,
            "writeConcernError": st.none() | st.just({"code": 64}) | json_values,
        },
    )
)
def test_an_insert_counts_as_stored_only_if_the_reply_says_that_all_of_it_is(reply: Document) -> None:
    try:
        said, fault = said_by(reply, 2)
    except PyMongoError:
        return
    assert reply.get("writeConcernError") is None
    if fault is None:
        assert said == reply["n"] == 2
        assert not reply.get("writeErrors")
    else:
        assert 0 <= said < 2
        assert fault == reply["writeErrors"][0]
