"""Loading: a session read from the store is up to date with its log, whatever its fields say."""

from __future__ import annotations

import pytest

from tests.support.in_memory import MemoryGateway, event, events, shrink_pages
from turnwire.gateway.sessions.loading import load
from turnwire.protocol.errors import NoSuchSession


async def test_loading_brings_lagging_fields_up_to_the_head_of_the_log(here: MemoryGateway) -> None:
    await here.create("s", *(event(f"e{n}", at=n) for n in range(120)))
    assert (await here.stored()).last_seq == 0
    loaded = await load(here.store, "s")
    record = loaded.record
    assert (record.last_seq, record.status, record.time_ordered, loaded.lagged) == (120, "active", True, True)
    assert record.session().last_event_at == "2025-01-01T00:00:00.119Z"


async def test_a_session_with_current_fields_loads_without_being_due_for_a_write(here: MemoryGateway) -> None:
    await here.create("s", *events("a", "b"))
    await here.parts.lazy_fields.flush()
    loaded = await load(here.store, "s")
    assert (loaded.record.last_seq, loaded.record.status, loaded.lagged) == (2, "active", False)


async def test_loading_notices_timestamps_that_went_back_after_the_stored_fields(here: MemoryGateway) -> None:
    live = await here.create("s", event("a", at=5))
    await here.parts.lazy_fields.flush()
    await here.append(live, event("b", at=4))
    record = (await load(here.store, "s")).record
    assert not record.time_ordered


async def test_loading_does_not_read_events_before_the_stored_head(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", *events("a", "b", "c"))
    asked: list[int] = []
    head_after = here.store.events.head_after

    async def noted(session_id: str, known: int, life: int | None) -> object:
        asked.append(known)
        return await head_after(session_id, known, life)

    monkeypatch.setattr(here.store.events, "head_after", noted)
    record = (await load(here.store, "s", live.state.record)).record
    assert (record.last_seq, asked) == (3, [3])


async def test_an_ended_session_loads_as_ended_with_the_events_of_its_grace_time(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    await here.end(live, "failed", "lost")
    await here.append(live, event("b"))
    loaded = await load(here.store, "s")
    assert (loaded.record.status, loaded.record.last_seq, loaded.lagged) == ("failed", 2, True)


async def test_loading_an_unknown_session_raises_not_found(here: MemoryGateway) -> None:
    with pytest.raises(NoSuchSession):
        await load(here.store, "nobody")


async def test_a_stored_last_seq_beyond_the_log_is_put_right(here: MemoryGateway, there: MemoryGateway) -> None:
    """As when the log was put back to an older copy, and a gateway then wrote what it remembered."""
    await here.create("s", *(event(f"e{n}", at=n) for n in range(1, 8)))
    await here.parts.lazy_fields.flush()
    here.database.forget("events", lambda document: document["seq"] > 3)
    live = await there.open()
    assert (live.state.record.last_seq, live.state.session().last_event_at) == (3, "2025-01-01T00:00:00.003Z")
    assert [stored.event.seq for stored in await there.append(live, event("next"))] == [4]
    await there.parts.lazy_fields.flush()
    assert (await there.stored()).last_seq == 4
    assert await there.log() == ["e1", "e2", "e3", "next"]


async def test_digests_of_events_that_are_gone_are_forgotten(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    live = await here.create("s", *events(*(f"e{n}" for n in range(1, 10))))
    await here.parts.lazy_fields.flush()
    here.database.forget("events", lambda document: document["seq"] > 6)
    live = await there.open()
    await there.append(live, *events("x", "e7", "e8", "e9"))
    answers = await there.append(live, *events("x", "e9"))
    assert [(stored.event.seq, stored.duplicate) for stored in answers] == [(7, True), (10, True)]
    assert await there.log() == [*(f"e{n}" for n in range(1, 7)), "x", "e7", "e8", "e9"]


async def test_a_log_that_has_lost_all_its_events_starts_again_with_seq_1(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("s", *events("a", "b"))
    await here.parts.lazy_fields.flush()
    here.database.forget("events", lambda document: True)
    live = await there.open()
    assert [stored.event.seq for stored in await there.append(live, event("a"))] == [1]
