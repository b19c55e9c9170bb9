"""What an erasure leaves in the database at each of its steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from turnwire.protocol.errors import SessionErased
from turnwire.protocol.messages import EventIn
from turnwire.store.erasures import SLICE
from turnwire.store.event_log import event_documents
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(session_id: str = "s", life: int | None = 7) -> SessionRecord:
    return SessionRecord(session_id, "en", NOW, life=life, epoch=1)


async def fill(store: Store, known: SessionRecord, count: int) -> None:
    events = [(seq, EventIn(f"e{seq}", "system", {}, NOW)) for seq in range(1, count + 1)]
    await store.events.append(known.session_id, event_documents(known.session_id, events, known.life), 100)
    known.last_seq = count


@pytest.mark.parametrize("life", [7, None])
async def test_a_marked_session_is_hidden_from_every_read_and_takes_no_write(store: Store, life: int | None) -> None:
    known = record(life=life)
    await store.sessions.create(known)
    await store.sessions.create(record("other"))
    await store.erasures.note(known, NOW)
    assert await store.erasures.mark(known, whoever_publishes=False)
    assert await store.sessions.load("s") is None
    assert [each.session_id for each in await store.sessions.load_all(["s", "other"])] == ["other"]
    assert await store.sessions.which_exist(["s", "other"]) == {"other"}
    for query in (
        SessionQuery(limit=5),
        SessionQuery(limit=5, ascending=True),
        SessionQuery(limit=5, status=["initiated"]),
        SessionQuery(limit=5, started_before=NOW + timedelta(days=1)),
    ):
        assert [each.session_id for each in await store.sessions.page(query)] == ["other"]
    assert [each.session_id for each in await store.sessions.unended()] == ["other"]
    assert not await store.sessions.create(record())
    assert not await store.sessions.claim(known)
    assert not await store.sessions.end(known, "failed", NOW, None)
    assert not await store.sessions.amend(known, {"a": 1}, "de", NOW)
    assert await store.sessions.save_lazy_fields([known]) == {"s": None}
    with pytest.raises(SessionErased):
        await store.sessions.reload(known)


async def test_a_session_claimed_meanwhile_is_erased_only_by_force(store: Store) -> None:
    known = record()
    await store.sessions.create(known)
    await store.sessions.claim(known)
    assert not await store.erasures.mark(known, whoever_publishes=False)
    assert await store.erasures.mark(known, whoever_publishes=True)
    assert not await store.erasures.mark(known, whoever_publishes=True)


async def test_late_events_are_erased_too_even_if_the_log_was_longer_than_the_note_says(store: Store) -> None:
    known = record()
    await store.sessions.create(known)
    await fill(store, known, 3 * SLICE)
    known.last_seq = SLICE  # what the gateway knows that erases the session
    erasure = await store.erasures.note(known, NOW)
    await store.erasures.mark(known, whoever_publishes=False)
    await store.erasures.erase_log(erasure)
    for late in (3 * SLICE + 1, 3 * SLICE + 2):  # another gateway has not heard of the erasure yet
        [event] = event_documents("s", [(late, EventIn(f"e{late}", "system", {}, NOW))], life=known.life)
        await store.events.append("s", [event], 1)
        [erasure] = await store.erasures.notes()
        await store.erasures.erase_log(erasure)
        assert await store.events.head_after("s", late - 1) == []


async def test_a_long_log_goes_in_slices_and_what_has_another_life_stays(store: Store) -> None:
    known, other = record(), record("other")
    for each in (known, other):
        await store.sessions.create(each)
        await fill(store, each, 2 * SLICE + 3)
        await store.events.digests.save(each.session_id, 0, b"", b"", each.life)
    [stray] = event_documents("s", [(2 * SLICE + 4, EventIn("e", "system", {}, NOW))], life=8)
    await store.events.append("s", [stray], 1)
    erasure = await store.erasures.note(known, NOW)
    assert await store.erasures.note(known, NOW) == erasure
    await store.erasures.mark(known, whoever_publishes=False)
    assert await store.erasures.is_marked(erasure)
    await store.erasures.erase_log(erasure)
    await store.erasures.free(erasure)
    assert await store.erasures.is_marked(erasure) is None
    assert await store.erasures.notes() == [erasure]
    await store.erasures.forget(erasure)
    assert await store.erasures.notes() == []
    assert await store.events.head_after("s", 0) == []
    assert [event.seq for event in await store.events.head_after("s", 2 * SLICE + 3)] == [2 * SLICE + 4]
    assert len(await store.events.head_after("other", 0)) == 2 * SLICE + 3
    assert await store.events.digests.load("other", 1000, other.life) == [(b"", b"")]
    assert await store.sessions.create(record())
