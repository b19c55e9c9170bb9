"""Producers that write through several gateways at once: what the log says of them is one truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import cast

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.gateway.durable_streams.calls import sending
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, events
from turnwire.gateway.access.enders import Enders
from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.durable_streams.appending import Appending
from turnwire.gateway.durable_streams.item_ids import ItemId
from turnwire.gateway.durable_streams.items import ItemReader
from turnwire.gateway.durable_streams.producers import Producers
from turnwire.gateway.durable_streams.refusals import SequenceGap, SequenceRegression, StaleEpoch
from turnwire.gateway.durable_streams.storing import ItemStore
from turnwire.gateway.live.items import Condition
from turnwire.protocol.errors import StorageUnavailable, TurnwireError

SCHEDULES = 30
_EPOCHS, _REQUESTS = 4, 4


class NoEnders:
    """Remembers nobody."""

    def attributed(self, *_: object) -> AbstractContextManager[None]:
        return nullcontext()


class LateEnd(ItemStore):
    """Something happens before a stream is closed."""

    before: Callable[[], Awaitable[object]]

    async def end(self, session_id: str, principal: Principal, condition: Condition | None = None) -> None:
        await self.before()
        await super().end(session_id, principal, condition)


class Writer:
    """Writes to the stream `s` through one gateway."""

    def __init__(self, gateway: MemoryGateway, kind: type[ItemStore] = ItemStore) -> None:
        limits = gateway.config.limits
        storing = self.storing = kind(limits, gateway.requests, cast("Enders", NoEnders()))
        producers = Producers(gateway.store.events, patience=60)
        items = ItemReader(limits, 0, lambda _: "")
        self._appending = Appending(limits, gateway.requests, items, storing, producers)

    async def post(self, headers: dict[str, str], body: bytes = b'["one","two"]') -> int:
        """Return the status of the answer. Raises what is refused."""
        request = make_mocked_request("POST", "/streams/s", {"Content-Type": "application/json", **headers})
        return (await self._appending.append(request, "s", ANONYMOUS, body)).status

    async def insist(self, headers: dict[str, str]) -> int:
        while True:
            try:
                return await self.post(headers)
            except StorageUnavailable:
                await asyncio.sleep(0.01)


async def play(seed: int) -> list[ItemId]:
    """Let several epochs of one producer write at once, each through any of three gateways, which have trouble with the
    database. Return what is in the log then."""
    random = Random(seed)
    database = MemoryDatabase(random)
    gateways = [MemoryGateway(database) for _ in range(3)]
    writers = [Writer(each) for each in gateways]
    await gateways[0].create("s")
    for gateway in gateways:
        gateway.line.trouble = random.choice([0.0, 0.2])

    async def produce(epoch: int) -> None:
        await asyncio.sleep(random.uniform(0, 0.2))
        for seq in range(_REQUESTS):
            try:
                await random.choice(writers).insist(sending("bot", epoch, seq))
            except StaleEpoch:
                return

    await asyncio.gather(*map(produce, range(_EPOCHS)))
    for gateway in gateways:
        gateway.line.trouble = 0.0
    log = await gateways[0].log()
    for gateway in gateways:
        await gateway.stop()
    return [item for event_id in log if (item := ItemId.read(event_id)) is not None]


@pytest.mark.slow
async def test_nothing_of_an_older_epoch_is_stored_after_a_newer_one_whichever_gateway_is_asked() -> None:
    overtaken = 0
    for seed in range(SCHEDULES):
        stored = [(each.batch.epoch, each.batch.seq, each.index) for each in await play(seed) if each.batch]
        assert stored == sorted(set(stored)), f"seed {seed}"
        newest = [(seq, index) for epoch, seq, index in stored if epoch == stored[-1][0]]
        assert newest == [(seq, index) for seq in range(_REQUESTS) for index in range(2)], f"seed {seed}"
        overtaken += len(stored) < _EPOCHS * _REQUESTS * 2
    assert overtaken, "no epoch has ever been fenced"


async def test_a_request_sent_to_two_gateways_at_once_is_stored_once(here: MemoryGateway, there: MemoryGateway) -> None:
    await here.create("s")
    await there.open("s")
    writers = [Writer(here), Writer(there)]
    for seq in range(20):
        statuses = await asyncio.gather(*(each.insist(sending("bot", 0, seq)) for each in writers))
        assert sorted(statuses) == [200, 204]
    assert len(await here.log()) == 40


async def test_of_two_equal_stream_seqs_at_once_one_is_stored(here: MemoryGateway, there: MemoryGateway) -> None:
    await here.create("s")
    await there.open("s")
    writers = [Writer(here), Writer(there)]
    for number in range(10):
        headers, bodies = {"Stream-Seq": f"{number}"}, (b'["one"]', b'["one","two"]')
        done = [each.post(headers, body) for each, body in zip(writers, bodies, strict=True)]
        results = await asyncio.gather(*done, return_exceptions=True)
        assert sorted(type(each).__name__ for each in results) == ["SequenceRegression", "int"]
    stored = [item.stream_seq for each in await here.log() if (item := ItemId.read(each)) is not None]
    assert stored == sorted(filter(None, stored))


async def test_events_of_others_do_not_get_in_the_way(here: MemoryGateway, there: MemoryGateway) -> None:
    live = await here.create("s")
    await there.open("s")
    writer = Writer(there)
    for seq in range(10):
        mine = asyncio.create_task(writer.insist(sending("bot", 0, seq)))
        await asyncio.gather(*(here.append(live, *events(f"e{seq}-{n}")) for n in range(5)))
        assert await mine == 200
    assert len(await here.log()) == 70


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        (sending("bot", 0, 1), StaleEpoch),
        (sending("bot", 2, 5), SequenceGap),
        ({"Stream-Seq": "5"}, SequenceRegression),
    ],
)
async def test_a_refusal_is_due_to_what_another_gateway_has_just_stored(
    here: MemoryGateway, there: MemoryGateway, headers: dict[str, str], refusal: type[TurnwireError]
) -> None:
    await here.create("s")
    await there.open("s")
    before, after = Writer(there), Writer(here)
    await before.insist(sending("bot", 0, 0))
    sent = sending("bot", 2, 0) | {"Stream-Seq": "7"}
    assert await after.insist(sent) == 200
    with pytest.raises(refusal):
        await before.insist(headers)


@pytest.mark.parametrize("body", [b"", b'["last"]'])
async def test_a_stream_is_not_closed_by_an_epoch_that_was_overtaken_while_it_was_closing(
    here: MemoryGateway, there: MemoryGateway, body: bytes
) -> None:
    await here.create("s")
    await there.open("s")
    old, new = Writer(there, LateEnd), Writer(here)
    await old.insist(sending("bot", 0, 0))
    assert isinstance(old.storing, LateEnd)
    old.storing.before = lambda: new.insist(sending("bot", 1, 0))
    with pytest.raises(StaleEpoch):
        await old.post(sending("bot", 0, 1) | {"Stream-Closed": "true"}, body)
    assert (await here.requests.view("s")).session.status == "active"
    assert await new.post(sending("bot", 1, 1) | {"Stream-Closed": "true"}, b"") == 204
    assert (await there.requests.view("s")).session.status == "completed"
