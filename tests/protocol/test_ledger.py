"""The ledger: what the writer of a session knows of its log."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from random import Random

import pytest

from turnwire.protocol import rules
from turnwire.protocol.log.event_digests import event_digests, pack_digests, packed_digests
from turnwire.protocol.messages import Event, EventIn, JsonObject
from turnwire.protocol.rules import DIGEST_PAGE, Admitted, Duplicate, Ledger


def event(event_id: str, payload: JsonObject | None = None) -> EventIn:
    return EventIn(event_id, "system", payload or {})


def stored(seq: int, event_id: str, payload: JsonObject | None = None) -> Event:
    return Event(event_id, "s", "system", payload or {}, "2025-12-21T10:30:00.000Z", seq)


def admitted(ledger: Ledger, *event_ids: str) -> list[Admitted | Duplicate]:
    return [ledger.admit(event(event_id), {}) for event_id in event_ids]


def pending(ledger: Ledger) -> list[tuple[int, str]]:
    return [(seq, each.event_id) for seq, each in ledger.pending()]


def test_new_events_get_the_next_positions_of_the_log() -> None:
    ledger = Ledger()
    assert admitted(ledger, "a", "b") == [Admitted(1), Admitted(2)]
    assert (ledger.head, ledger.next_seq) == (0, 3)
    ledger.learn_pending()
    assert (ledger.head, ledger.next_seq) == (2, 3)
    assert admitted(ledger, "c") == [Admitted(3)]


def test_an_event_sent_again_while_pending_is_a_duplicate_at_its_position() -> None:
    ledger = Ledger()
    admitted(ledger, "a", "b", "c")
    assert ledger.admit(event("b"), {}) == Duplicate(2, same=True)
    assert ledger.admit(event("b", {"x": 1}), {}) == Duplicate(2, same=False)
    assert ledger.admit(EventIn("b", "user_speech", {}), {}) == Duplicate(2, same=False)
    assert ledger.next_seq == 4


def test_an_event_sent_again_when_durable_is_compared_with_what_is_stored() -> None:
    ledger = Ledger()
    admitted(ledger, "a", "b")
    ledger.learn_pending()
    assert ledger.candidates("b") == [2]
    assert ledger.admit(event("b"), {2: stored(2, "b")}) == Duplicate(2, same=True)
    assert ledger.admit(event("b", {"n": 1}), {2: stored(2, "b", {"n": 1.0})}) == Duplicate(2, same=False)


def test_events_stored_by_others_move_pending_events_up() -> None:
    ledger = Ledger()
    admitted(ledger, "a", "b")
    ledger.learn(1, "foreign")
    assert pending(ledger) == [(2, "a"), (3, "b")]
    ledger.learn(2, "b")
    assert pending(ledger) == [(3, "a")]
    ledger.learn_pending()
    assert [ledger.candidates(event_id) for event_id in ("foreign", "b", "a")] == [[1], [2], [3]]


def test_a_ledger_learns_only_the_next_position() -> None:
    ledger = Ledger()
    for seq in (0, 2):
        with pytest.raises(ValueError, match=f"learned seq={seq}, expected=1"):
            ledger.learn(seq, "a")


def test_given_up_events_free_their_positions() -> None:
    ledger = Ledger()
    admitted(ledger, "a", "b", "c")
    ledger.drop_pending("b")
    assert pending(ledger) == [(1, "a"), (2, "c")]
    ledger.forget_pending()
    assert pending(ledger) == []
    assert admitted(ledger, "b") == [Admitted(1)]


def test_a_full_page_is_folded_into_digests_that_another_ledger_can_learn() -> None:
    ledger = Ledger()
    ids = [f"e{n}" for n in range(2 * DIGEST_PAGE + 5)]
    admitted(ledger, *ids)
    ledger.learn_pending()
    pages = ledger.fold()
    assert pages == [pack_digests(ids[:DIGEST_PAGE]), pack_digests(ids[DIGEST_PAGE : 2 * DIGEST_PAGE])]
    assert (ledger.folded_pages, ledger.fold()) == (2, [])
    again = Ledger()
    for page in pages:
        again.add_digests(page)
    assert (again.head, again.folded_pages) == (2 * DIGEST_PAGE, 2)
    for seq in (1, DIGEST_PAGE, DIGEST_PAGE + 1, 2 * DIGEST_PAGE):
        assert again.candidates(ids[seq - 1]) == ledger.candidates(ids[seq - 1]) == [seq]
    assert again.admit(event("new"), {}) == Admitted(2 * DIGEST_PAGE + 1)


@pytest.mark.parametrize("seed", range(20))
def test_pages_hold_the_digests_of_their_ids_however_the_ids_came(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(rules, "DIGEST_PAGE", 7)
    chance, ledger, ids, pages = Random(seed), Ledger(), list[str](), list[bytes]()
    for turn in range(60):
        batch = [f"{turn}-{n}" for n in range(chance.randint(1, 4))]
        way = chance.choice(
            ["together", "together", "together", "singly", "foreign", "dropped", "forgotten", "late", "both"]
        )
        if way == "foreign":
            for event_id in batch:
                ledger.learn(ledger.head + 1, event_id)
        elif way == "singly":
            admitted(ledger, *batch)
        else:
            assert ledger.admit_new([event(event_id) for event_id in batch])
        if way == "dropped":
            ledger.drop_pending(batch.pop())
        if way == "forgotten":
            ledger.forget_pending()
            batch = []
        if way == "late":
            more = f"{turn}-more"
            assert ledger.admit_new([event(more)])
            batch.append(more)
        if way == "both":
            admitted(ledger, f"{turn}-more")
            batch.append(f"{turn}-more")
        ledger.learn_pending()
        ids += batch
        pages += ledger.fold()
    assert len(pages) == len(ids) // 7
    assert b"".join(pages) == pack_digests(ids[: len(pages) * 7])


def test_an_id_of_a_long_log_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(event_ids: Iterable[str]) -> array[int]:
        new = list(event_ids)
        hashed.extend(new)
        return event_digests(new)

    monkeypatch.setattr(rules, "event_digests", counted)
    ledger = Ledger()
    for first in range(0, 3 * DIGEST_PAGE, 10):
        assert ledger.admit_new([event(f"e{n}") for n in range(first, first + 10)])
        ledger.learn_pending()
        ledger.fold()
    assert sorted(hashed) == sorted(f"e{n}" for n in range(3 * DIGEST_PAGE))


def test_less_than_a_full_page_is_not_folded_into_digests() -> None:
    ledger = Ledger()
    admitted(ledger, *(f"e{n}" for n in range(DIGEST_PAGE - 1)))
    ledger.learn_pending()
    assert ledger.fold() == []


def test_a_match_by_digest_is_verified_against_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "event_digests", lambda ids: array("Q", map(len, ids)))
    ledger = Ledger()
    ledger.add_digests(packed_digests([1, 2, 1]))
    assert ledger.candidates("x") == [1, 3]
    log = {1: stored(1, "a"), 3: stored(3, "c")}
    assert ledger.admit(event("c"), log) == Duplicate(3, same=True)
    assert ledger.admit(event("x"), log) == Admitted(4)


def test_a_ledger_learns_digests_before_ids() -> None:
    ledger = Ledger()
    ledger.learn(1, "a")
    with pytest.raises(ValueError, match="digests come first"):
        ledger.add_digests(pack_digests(["b"]))


def test_digests_are_8_bytes_of_blake2b_in_little_endian() -> None:
    assert pack_digests(["a", "é"]).hex() == "40f89e395b66422f" + "cb1abf8beff3192f"
    assert list(event_digests(["a"])) == [0x2F42665B399EF840]
