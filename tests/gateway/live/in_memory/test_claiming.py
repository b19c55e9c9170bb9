"""A publisher claims a session: the previous one is fenced, and the new one learns of everything stored."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.in_memory import STARTED, MemoryGateway, Seat, event, events, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import ClaimItem
from turnwire.protocol.errors import CloseCode, StorageUnavailable
from turnwire.protocol.messages import EventIn, Opened


def told(seat: Seat) -> tuple[int, int, str | None]:
    """Return epoch, lastSeq and lastEventId of the first message."""
    assert seat.opened is not None
    return seat.opened.epoch, seat.opened.last_seq, seat.opened.last_event_id


async def test_each_claim_raises_the_epoch_and_supersedes_the_previous_publisher(here: MemoryGateway) -> None:
    live = await here.create()
    seats = [await here.claim(live) for _ in range(4)]
    assert [told(seat)[0] for seat in seats] == [1, 2, 3, 4]
    assert [seat.was_superseded for seat in seats] == [True, True, True, False]
    assert live.state.publisher is seats[-1]
    assert (await here.stored()).epoch == 4
    assert len(here.heard("taken_over")) == 3


async def test_a_session_created_for_its_publisher_costs_no_second_write(here: MemoryGateway) -> None:
    live, created = await here.sessions.open_or_create("s", "en", "bot")
    assert created
    seat = Seat()
    done: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
    live.submit(ClaimItem(seat, done, created=True))
    assert ((await done).epoch, seat.epoch, (await here.stored()).epoch) == (1, 1, 1)


async def test_two_claims_of_a_session_created_for_one_of_them_get_different_epochs(here: MemoryGateway) -> None:
    live, _ = await here.sessions.open_or_create("s", "en", "bot")
    claims = [ClaimItem(Seat(), asyncio.get_running_loop().create_future(), created=True) for _ in range(2)]
    for each in claims:
        live.submit(each)
    assert [(await each.done).epoch for each in claims] == [1, 2]


async def test_events_queued_before_a_claim_are_stored_and_those_behind_it_dropped(
    here: MemoryGateway,
) -> None:
    live = await here.create()
    old = await here.claim(live)
    send(live, old, *events("a", "b"))
    claiming = asyncio.create_task(here.claim(live))
    await asyncio.sleep(0)
    send(live, old, event("late"))
    new = await claiming
    assert told(new) == (2, 2, "b")
    assert (old.seqs, old.was_superseded) == ([1, 2], True)
    send(live, new, event("c"))
    assert await new.heard(1) == [3]
    assert await here.log() == ["a", "b", "c"]


async def test_many_claims_at_once_on_two_gateways_leave_one_publisher_and_share_no_epoch(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    places = [(here, await here.create()), (there, await there.open())] * 8
    seats = await asyncio.gather(*(gateway.claim(live) for gateway, live in places))
    for gateway, live in places[:2]:
        await gateway.requests.bring_up_to_date(live)
    given = [seat.epoch for seat in seats if seat.epoch]
    assert len(set(given)) == len(given)
    assert (await here.stored()).epoch == len(seats)
    [newest] = [seat for seat in seats if not seat.was_superseded]
    assert newest.epoch == len(seats)
    assert [live.state.publisher for _, live in places].count(newest) == 8


async def test_a_claim_learns_of_every_event_stored_at_another_gateway(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    other = await there.claim(elsewhere)
    send(elsewhere, other, *events("a", "b", "c"))
    await other.heard(3)
    assert told(await here.claim(live)) == (2, 3, "c")


async def test_a_claim_ends_although_two_gateways_store_events_of_the_same_millisecond(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    stamp = STARTED.replace(microsecond=900)
    await here.append(live, EventIn("e1", "system", {}, stamp))
    await there.append(elsewhere, EventIn("e2", "system", {}, stamp))
    async with asyncio.timeout(5):
        assert told(await here.claim(live)) == (1, 2, "e2")


async def test_an_abandoned_claim_does_not_become_the_publisher(here: MemoryGateway) -> None:
    live = await here.create()
    sitting = await here.claim(live)
    left = ClaimItem(Seat(), asyncio.get_running_loop().create_future())
    live.submit(left)
    left.done.cancel()
    send(live, sitting, event("a"))
    assert await sitting.heard(1) == [1]
    assert (live.state.publisher, sitting.was_superseded) == (sitting, False)


async def test_a_claim_given_up_during_an_outage_ends(here: MemoryGateway) -> None:
    live = await here.create()
    here.database.away = True
    left = ClaimItem(Seat(), asyncio.get_running_loop().create_future())
    live.submit(left)
    await until(lambda: live.state.busy_since is not None)
    left.done.set_exception(StorageUnavailable())
    await pass_time(3)
    assert live.state.busy_since is None
    assert live.state.publisher is None
    here.database.away = False
    assert (await here.claim(live)).epoch >= 1
    with pytest.raises(StorageUnavailable):
        await left.done


@pytest.mark.parametrize("alone", [True, False])
async def test_a_claim_of_a_session_past_its_grace_time_gets_opened_and_is_closed(
    join: StartMemory, alone: bool
) -> None:
    here = join(alone=alone, end_grace=1.0)
    live = await here.create("s", event("a"))
    await here.end(live)
    in_grace = await here.claim(live)
    assert (told(in_grace), in_grace.codes) == ((1, 1, "a"), [])
    await pass_time(1.1)
    assert in_grace.codes == [CloseCode.SESSION_ENDED]
    late = await here.claim(live)
    assert late.codes == [CloseCode.SESSION_ENDED]
    assert late.opened is not None
    assert (late.opened.session.status, late.opened.last_seq) == ("completed", 1)


async def test_claims_at_several_gateways_at_once_are_each_opened_with_an_epoch_of_their_own(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    for _ in range(20):
        seats = await asyncio.gather(here.claim(live), there.claim(elsewhere), here.claim(live))
        epochs = [seat.opened.epoch for seat in seats if seat.opened is not None]
        assert len(set(epochs)) == 3, epochs
