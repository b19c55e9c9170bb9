"""What a session remembers of its log: exact ids of its end, and digests of its full pages, each written once."""

from __future__ import annotations

from array import array

import pytest

from tests.support.in_memory import event, shrink_pages
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.log.known_log import KnownLog
from turnwire.protocol.log.event_digests import pack_digests
from turnwire.protocol.rules import Ledger
from turnwire.protocol.times import to_millis
from turnwire.store.digests import unpack_times


@pytest.fixture(autouse=True)
def pages_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_pages(monkeypatch, 4)


def durable(first: int, last: int) -> Durable:
    return Durable([(seq, event(f"e{seq}", at=seq)) for seq in range(first, last + 1)])


def known(count: int) -> KnownLog:
    log = KnownLog()
    log.loaded(Ledger(), array("q"))
    if count:
        log.advanced(durable(1, count))
        log.fold()
    return log


def test_a_log_that_has_not_been_read_has_no_known_events() -> None:
    log = KnownLog()
    log.advanced(durable(7, 8))
    log.fold()
    assert (log.ledger, log.full_pages) == (None, [])


def test_each_full_page_holds_the_digests_and_times_of_its_events() -> None:
    log = known(3)
    assert log.full_pages == []
    log.advanced(durable(4, 9))
    log.fold()
    assert [page for page, _, _ in log.full_pages] == [0, 1]
    for page, ids, times in log.full_pages:
        seqs = range(4 * page + 1, 4 * page + 5)
        assert ids == pack_digests([f"e{seq}" for seq in seqs])
        assert list(unpack_times(times)) == [to_millis(durable(seq, seq).last[1].timestamp) for seq in seqs]  # type: ignore[arg-type]


def test_events_that_the_ledger_already_knows_are_not_learned_again() -> None:
    log = known(0)
    assert log.ledger is not None
    log.ledger.learn(1, "e1")  # as the writer does, before the head moves
    log.advanced(durable(1, 2))
    assert (log.ledger.head, log.ledger.candidates("e2")) == (2, [2])


def test_a_reread_log_continues_with_the_page_after_its_digests() -> None:
    log, ledger = KnownLog(), Ledger()
    ledger.add_digests(pack_digests(["e1", "e2", "e3", "e4"]))
    ledger.learn(5, "e5")
    log.loaded(ledger, array("q", [5]))
    log.advanced(durable(6, 8))
    log.fold()
    assert [(page, len(unpack_times(times))) for page, _, times in log.full_pages] == [(1, 4)]


def test_a_forgotten_log_must_be_read_again_and_keeps_its_unwritten_pages() -> None:
    log = known(4)
    log.forget()
    assert (log.ledger, len(log.full_pages)) == (None, 1)
