"""Loading: a session read from the store is up to date with its log, whatever its fields say."""

from __future__ import annotations

import pytest

from tests.support.in_memory import MemoryGateway, event, events
from turnwire.gateway.sessions.loading import load
from turnwire.protocol.errors import NoSuchSession


async def test_loading_brings_lagging_fields_up_to_the_head_of_the_log(here: MemoryGateway) -> None:
    await here.create("s", *(event(f"e{n}", at=n) for n in range(120)))
    assert (await here.stored()).last_seq == 0
    record, lagged = await load(here.store, "s")
    assert (record.last_seq, record.status, record.time_ordered, lagged) == (120, "active", True, True)
    assert record.session().last_event_at == "2025-01-01T00:00:00.119Z"


async def test_a_session_with_current_fields_loads_without_being_due_for_a_write(here: MemoryGateway) -> None:
    await here.create("s", *events("a", "b"))
    await here.parts.lazy_fields.flush()
    record, lagged = await load(here.store, "s")
    assert (record.last_seq, record.status, lagged) == (2, "active", False)


async def test_loading_notices_timestamps_that_went_back_after_the_stored_fields(here: MemoryGateway) -> None:
    live = await here.create("s", event("a", at=5))
    await here.parts.lazy_fields.flush()
    await here.append(live, event("b", at=4))
    record, _ = await load(here.store, "s")
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
    record, _ = await load(here.store, "s", live.state.record)
    assert (record.last_seq, asked) == (3, [3])


async def test_an_ended_session_loads_as_ended_with_the_events_of_its_grace_time(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    await here.end(live, "failed", "lost")
    await here.append(live, event("b"))
    record, lagged = await load(here.store, "s")
    assert (record.status, record.last_seq, lagged) == ("failed", 2, True)


async def test_loading_an_unknown_session_raises_not_found(here: MemoryGateway) -> None:
    with pytest.raises(NoSuchSession):
        await load(here.store, "nobody")
