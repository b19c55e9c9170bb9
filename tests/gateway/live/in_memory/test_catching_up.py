"""Catching up with other gateways: events, a newer publisher and an end are taken over, in that order."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import Crowd, MemoryGateway, event, events, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.catching_up import is_stale
from turnwire.gateway.live.items import RenewItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.errors import NoSuchSession, StorageUnavailable
from turnwire.protocol.messages import Session


async def renew(live: LiveSession) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    live.submit(RenewItem(done))
    await done


async def test_events_stored_by_another_gateway_are_shown_once_in_order(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create("s", event("a")), await there.open()
    crowd = live.state.audience = Crowd()
    await there.append(elsewhere, *(events(*(f"e{n}" for n in range(120)))))
    await asyncio.gather(renew(live), renew(live))
    assert [each.seq for each in crowd.events] == list(range(2, 122))
    assert (live.state.record.last_seq, live.state.last_event_id) == (121, "e119")
    assert (await here.append(live, event("e5")))[0].duplicate


async def test_a_newer_publisher_at_another_gateway_closes_the_one_here(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    old = await here.claim(live)
    new = await there.claim(elsewhere)
    await renew(live)
    assert (old.was_superseded, live.state.publisher, live.state.record.epoch) == (True, None, 2)
    await renew(elsewhere)
    assert not new.was_superseded


async def test_an_end_at_another_gateway_is_shown_after_the_last_events(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    shown: list[str] = []

    class Watcher(Crowd):
        def advanced(self, news: object, storing: object) -> None:
            shown.append("events")

        def session_changed(self, session: Session) -> None:
            shown.append(session.status)

    live.state.audience = Watcher()
    await there.append(elsewhere, *events("a", "b"))
    await there.end(elsewhere, "failed", "lost")
    await renew(live)
    assert shown == ["events", "active", "failed"]
    assert live.state.record.end_reason == "lost"


async def test_timestamps_that_go_back_at_another_gateway_are_noticed(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create("s", event("a", at=0)), await there.open()
    await there.append(elsewhere, event("b", at=9))
    await here.append(live, event("c", at=5))
    assert not live.state.record.time_ordered
    await renew(elsewhere)
    assert not elsewhere.state.record.time_ordered
    times = await here.store.events.times("s", 3)
    assert times[0] < times[2] < times[1]


async def test_catching_up_with_a_session_that_is_gone_raises_not_found(
    here: MemoryGateway, database: MemoryDatabase
) -> None:
    live = await here.create()
    for side in (database.primary, database.majority):
        del side["sessions"]["s"]
    with pytest.raises(NoSuchSession):
        await renew(live)


async def test_a_client_that_gives_up_during_an_outage_ends_the_query(
    here: MemoryGateway, database: MemoryDatabase
) -> None:
    live = await here.create()
    database.away = True
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    live.submit(RenewItem(done))
    await until(lambda: live.state.busy_since is not None)
    done.set_exception(StorageUnavailable())
    await pass_time(3)
    assert live.state.busy_since is None
    database.away = False
    await renew(live)
    with pytest.raises(StorageUnavailable):
        await done


async def test_a_session_becomes_stale_only_on_a_shared_database(join: StartMemory) -> None:
    shared, alone = join(end_grace=10.0), join(end_grace=10.0, alone=True)
    one, other = await shared.create("one"), await alone.create("other")
    await pass_time(4.9)
    assert not is_stale(shared.context, one.state)
    await pass_time(0.2)
    assert is_stale(shared.context, one.state)
    assert not is_stale(alone.context, other.state)
    await renew(one)
    assert not is_stale(shared.context, one.state)


async def test_a_gateway_alone_queries_nothing_before_an_append(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = join(alone=True, end_grace=0.1)
    live = await alone.create("s", event("a"))
    seat = await alone.claim(live)
    await pass_time(10)

    async def load(session_id: str) -> None:
        raise AssertionError("the store is asked although there is nobody else")

    monkeypatch.setattr(alone.store.sessions, "load", load)
    send(live, seat, event("b"))
    assert await seat.heard(1) == [2]
