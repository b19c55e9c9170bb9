"""What the eventIds in a log say of its producers, and which request of one comes next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from turnwire.gateway.durable_streams.item_ids import ItemId, ProducerRequest
from turnwire.gateway.durable_streams.producers import Producers, Writers
from turnwire.gateway.durable_streams.refusals import SequenceGap, SequenceRegression, StaleEpoch
from turnwire.protocol.errors import InvalidMessage, StorageUnavailable
from turnwire.store.event_log import EventLog


def having(*batches: tuple[str, int, int], others: int = 0) -> Writers:
    """Return the writers of a log with one item of each batch, after events that came otherwise."""
    writers = Writers()
    ids = [f"e{n}" for n in range(others)]
    ids += [ItemId(index=0, count=1, batch=ProducerRequest(*batch)).text for batch in batches]
    for seq, event_id in enumerate(ids, 1):
        writers.learn(seq, event_id)
    return writers


def test_a_producer_continues_where_its_items_end() -> None:
    writers = having(("a", 0, 0), ("b", 0, 0), ("a", 0, 1), others=3)
    assert writers.judge(ProducerRequest("a", 0, 2)) == "new"
    assert writers.judge(ProducerRequest("b", 0, 1)) == "new"
    assert writers.judge(ProducerRequest("new", 7, 0)) == "new"


def test_a_request_whose_items_are_in_the_log_counts_as_repeated() -> None:
    writers = having(("a", 0, 0), ("a", 0, 1))
    assert writers.judge(ProducerRequest("a", 0, 0)) == writers.judge(ProducerRequest("a", 0, 1)) == "repeated"
    assert writers.newest(ProducerRequest("a", 0, 0)) == 1


@pytest.mark.parametrize(("batch", "expected"), [(("a", 0, 3), 2), (("b", 0, 1), 0)])
def test_a_producers_request_after_a_gap_is_refused(batch: tuple[str, int, int], expected: int) -> None:
    with pytest.raises(SequenceGap) as refused:
        having(("a", 0, 0), ("a", 0, 1)).judge(ProducerRequest(*batch))
    assert refused.value.status == 409
    assert refused.value.headers == {"Producer-Expected-Seq": str(expected), "Producer-Received-Seq": str(batch[2])}


def test_a_newer_epoch_fences_the_older_one() -> None:
    writers = having(("a", 0, 0), ("a", 0, 1))
    assert writers.judge(ProducerRequest("a", 4, 0)) == "new"
    writers.learn(3, ItemId(index=0, count=1, batch=ProducerRequest("a", 4, 0)).text)
    with pytest.raises(StaleEpoch) as refused:
        writers.judge(ProducerRequest("a", 3, 0))
    assert (refused.value.status, refused.value.headers) == (403, {"Producer-Epoch": "4"})
    assert writers.judge(ProducerRequest("a", 4, 1)) == "new"


def test_a_producers_epoch_begins_with_seq_0() -> None:
    with pytest.raises(InvalidMessage):
        having(("a", 0, 0)).judge(ProducerRequest("a", 1, 1))


def test_a_request_of_which_only_a_part_was_stored_is_stored_again() -> None:
    writers = Writers()
    batch = ProducerRequest("a", 0, 0)
    writers.learn(1, ItemId(index=0, count=2, batch=batch).text)
    assert writers.judge(batch) == "new"
    writers.learn(2, ItemId(index=1, count=2, batch=batch).text)
    assert writers.judge(batch) == "repeated"


def test_the_rest_of_a_request_comes_before_the_next_one() -> None:
    writers = Writers()
    writers.learn(1, ItemId(index=0, count=2, batch=ProducerRequest("a", 0, 0)).text)
    with pytest.raises(SequenceGap) as refused:
        writers.judge(ProducerRequest("a", 0, 1))
    assert refused.value.headers["Producer-Expected-Seq"] == "0"
    writers.learn(2, ItemId(index=1, count=2, batch=ProducerRequest("a", 0, 0)).text)
    assert writers.judge(ProducerRequest("a", 0, 1)) == "new"


def test_the_rest_of_a_request_has_its_stream_seq() -> None:
    writers = Writers()
    writers.learn(1, ItemId(index=0, count=2, stream_seq="1").text)
    writers.check_order("1")
    writers.learn(2, ItemId(index=1, count=2, stream_seq="1").text)
    with pytest.raises(SequenceRegression):
        writers.check_order("1")


def test_learning_an_event_again_changes_nothing() -> None:
    writers = having(("a", 0, 0), ("a", 0, 1))
    writers.learn(1, "another")
    writers.learn(9, ItemId(index=0, count=1, batch=ProducerRequest("a", 5, 0)).text)
    assert (writers.through, writers.judge(ProducerRequest("a", 0, 2))) == (2, "new")


def test_stream_seqs_are_ordered_as_bytes() -> None:
    writers = Writers()
    writers.check_order("anything")
    writers.learn(1, ItemId(index=0, count=1, stream_seq="09").text)
    writers.check_order("10")
    writers.check_order("a")
    for stream_seq in ("09", "0", "08z"):
        with pytest.raises(SequenceRegression) as refused:
            writers.check_order(stream_seq)
        assert refused.value.status == 409


class Log:
    """A log of which only the eventIds are read."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.troubles = 0
        self.read = 0
        """How many ids have been read."""

    async def read_ids(self, _session_id: str, first: int, last: int) -> list[tuple[int, str, datetime]]:
        self.read += last + 1 - first
        return [(seq, self.ids[seq - 1], datetime.now(UTC)) for seq in range(first, last + 1)]

    async def judged(self, producers: Producers, seq: int) -> str:
        return (await producers.of("call", 1, len(self.ids))).judge(ProducerRequest("a", 0, seq))


def sent(seq: int) -> str:
    return ItemId(index=0, count=1, batch=ProducerRequest("a", 0, seq)).text


async def test_only_new_events_of_a_log_are_read() -> None:
    log = Log("e1", sent(0), sent(1))
    producers = Producers(cast("EventLog", log), patience=1)
    assert await log.judged(producers, 2) == "new"
    log.ids += [sent(2), "e2"]
    assert await log.judged(producers, 2) == "repeated"
    assert log.read == 5


async def test_a_log_that_may_have_lost_its_end_is_read_again() -> None:
    log = Log(sent(0), sent(1), sent(2))
    producers = Producers(cast("EventLog", log), patience=1)
    await log.judged(producers, 3)
    del log.ids[1:]
    assert await log.judged(producers, 1) == "new"
    log.ids += [sent(1), sent(2)]
    await log.judged(producers, 3)
    log.ids[1:] = ["other", "events"]
    log.troubles += 1
    assert await log.judged(producers, 1) == "new"


async def test_a_request_whose_turn_does_not_come_is_given_up() -> None:
    producers = Producers(cast("EventLog", Log()), patience=0)
    async with producers.one_by_one("call"):
        with pytest.raises(StorageUnavailable):
            async with producers.one_by_one("call"):
                pass
    async with producers.one_by_one("other"):
        pass
