"""The lines of a backup: everything acked before it began, as an import takes it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.in_memory import STARTED, Crowd, MemoryGateway, Seat, event, memory_database, pass_time, send
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.importing.importer import Importer
from turnwire.gateway.importing.lines import Lines
from turnwire.gateway.keeping.backup_lines import BackupLines
from turnwire.gateway.sessions.pages import Place
from turnwire.store.sessions import SessionRecord

Json = Any


def lines_of(gateway: MemoryGateway) -> BackupLines:
    parts = gateway.parts
    return BackupLines(parts.pages, parts.requests, gateway.store, lambda place: place[1])


async def backup_of(gateway: MemoryGateway, before: Place | None = None) -> list[Json]:
    """The lines, without the last one, which is checked."""
    text = b"".join([piece async for piece in lines_of(gateway).read(before)])
    *lines, last = [json.loads(line) for line in text.splitlines()]
    assert last == {"end": {"sessions": len(lines)}}
    return lines


async def restored(gateway: MemoryGateway, lines: list[Json], **options: Any) -> list[str]:
    chunks = [json.dumps(line).encode() + b"\n" for line in lines]

    async def read() -> bytes:
        return chunks.pop(0) if chunks else b""

    importer = Importer(gateway.context, gateway.sessions, gateway.requests)
    found = Lines(read, most_whole=1_000_000, most_element=100_000)
    return [(await importer.take(line, restore=True, **options)).result async for line in _each(found)]


async def _each(lines: Lines) -> Any:
    while line := await lines.next():
        yield line


def other_gateway(**settings: Any) -> MemoryGateway:
    """A gateway on a separate database."""
    return MemoryGateway(memory_database(), **settings)


async def test_a_backup_has_every_session_newest_first_with_its_events(here: MemoryGateway) -> None:
    for number in range(120):
        await here.create(f"s{number}", *(event(f"e{n}") for n in range(number % 3)), metadata={"n": number})
    lines = await backup_of(here)
    assert {line["sessionId"] for line in lines} == {f"s{number}" for number in range(120)}
    for line in lines:
        number = line["metadata"]["n"]
        assert line["at"] == {"cursor": f"s{number}", "count": number % 3}
        assert [(each["seq"], each["eventId"]) for each in line["events"]] == [
            (n + 1, f"e{n}") for n in range(number % 3)
        ]


async def test_a_backup_has_events_acked_just_before_it_whichever_gateway_has_the_call(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live = await there.create("s")
    seat = await there.claim(live)
    send(live, seat, event("e1"), event("e2"))
    assert await seat.heard(2) == [1, 2]
    (line,) = await backup_of(here)
    assert (line["status"], [each["eventId"] for each in line["events"]]) == ("active", ["e1", "e2"])


async def test_a_backup_continues_after_the_last_line_that_was_kept(here: MemoryGateway) -> None:
    for number in range(5):
        live, _ = await here.sessions.create(backup_record(number))
        await here.append(live, event("e"))
    assert [line["sessionId"] for line in await backup_of(here)] == ["s4", "s3", "s2", "s1", "s0"]
    behind = (STARTED + timedelta(seconds=3), "s3")
    assert [line["sessionId"] for line in await backup_of(here, behind)] == ["s2", "s1", "s0"]


def backup_record(number: int) -> SessionRecord:
    return SessionRecord(f"s{number}", "en", STARTED + timedelta(seconds=number))


async def test_a_long_log_is_read_in_small_pieces(here: MemoryGateway) -> None:
    live = await here.create("s")
    for first in range(0, 300, 100):
        await here.append(live, *(event(f"e{n}", {"text": "x" * 10_000}) for n in range(first, first + 100)))
    sizes = [len(piece) async for piece in lines_of(here).read(None)]
    assert len(sizes) > 10
    assert max(sizes) < 400_000


async def test_a_session_that_is_erased_meanwhile_is_left_out(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.create("a", event("e"))
    await here.create("b", event("e"))
    view = here.requests.view

    async def erased_first(session_id: str) -> Any:
        if session_id == "a":
            await here.parts.erasing.erase("a", force=True)
        return await view(session_id)

    monkeypatch.setattr(here.requests, "view", erased_first)
    pieces = b"".join([piece async for piece in lines_of(here).read(None)])
    assert [json.loads(line).get("sessionId") for line in pieces.splitlines()] == ["b", None]


async def test_a_restored_session_has_its_former_ids_seqs_and_times(here: MemoryGateway) -> None:
    future = int(timedelta(days=20_000).total_seconds() * 1000)
    ended = await here.create("ended", event("e1", {"n": 1.0}, 5), event("e2", at=future), metadata={"a": [None, "é"]})
    await here.end(ended, "failed", "hangup")
    await here.create("open", event("e1", at=9), event("e2", at=3))
    await here.create("silent")
    await here.create("begun", status="active")
    lines = await backup_of(here)
    other = other_gateway()
    try:
        assert await restored(other, lines) == ["imported"] * 4
        assert await restored(other, lines) == ["unchanged"] * 4
        assert await restored(other, lines, verify=True) == ["unchanged"] * 4
        assert sorted_lines(await backup_of(other)) == sorted_lines(lines)
        stored = await other.stored("open")
        assert (stored.importing, stored.time_ordered) == (False, False)
    finally:
        await other.stop()


def sorted_lines(lines: list[Json]) -> list[Json]:
    return sorted(lines, key=lambda line: str(line["sessionId"]))


async def test_an_event_that_a_bot_sends_again_after_a_restore_is_a_duplicate(here: MemoryGateway) -> None:
    live = await here.create("s", event("e1", {"n": 1}), event("e2"))
    lines = await backup_of(here)
    await here.append(live, event("after the backup"))
    other = other_gateway()
    try:
        assert await restored(other, lines) == ["imported"]
        seat = Seat()
        live = await other.open("s")
        await other.claim(live, seat)
        send(live, seat, event("e1", {"n": 1}), event("e2"), event("after the backup"), event("e1", {"n": 2}))
        assert await seat.heard(4) == [1, 2, 3, None]
        assert (seat.duplicates, seat.nacks) == (["e1", "e2"], [("e1", "event_conflict")])
    finally:
        await other.stop()


async def test_a_restore_adds_what_is_missing_and_reports_what_differs(here: MemoryGateway) -> None:
    for name in ("gone", "half", "whole", "other"):
        await here.create(name, event("e1"), event("e2"), event("e3"))
    await here.end(await here.open("gone"))
    lines = {line["sessionId"]: line for line in await backup_of(here)}
    other = other_gateway()
    try:
        half = {**lines["half"], "events": lines["half"]["events"][:1]}
        differs = {**lines["other"], "events": [{**lines["other"]["events"][0], "eventId": "x"}]}
        await restored(other, [half, lines["whole"], differs])
        assert dict(zip(lines, await restored(other, list(lines.values())), strict=True)) == {
            "gone": "imported",
            "half": "imported",
            "whole": "unchanged",
            "other": "different",
        }
        assert await other.log("half") == ["e1", "e2", "e3"]
        assert await other.log("other") == ["x"]
    finally:
        await other.stop()


async def test_a_session_that_has_continued_since_the_backup_is_ahead_and_stays_as_it_is(here: MemoryGateway) -> None:
    for name in ("longer", "ended"):
        await here.create(name, event("e1"))
    lines = await backup_of(here)
    await here.append(await here.open("longer"), event("e2"))
    await here.end(await here.open("ended"))
    for verify in (False, True):
        assert await restored(here, lines, verify=verify) == ["ahead", "ahead"]
    assert await here.log("longer") == ["e1", "e2"]


async def test_an_end_is_not_restored_over_a_call_that_somebody_publishes(here: MemoryGateway) -> None:
    live = await here.create("s", event("e1"))
    open_line = await backup_of(here)
    await here.end(live)
    ended_line = await backup_of(here)
    other = other_gateway()
    try:
        await restored(other, open_line)
        await other.claim(await other.open("s"))
        assert await restored(other, ended_line) == ["different"]
        assert (await other.requests.view("s")).session.status == "active"
    finally:
        await other.stop()


async def test_a_call_whose_publisher_is_gone_takes_what_it_lacks(here: MemoryGateway) -> None:
    live = await here.create("s", event("e1"))
    begun = await backup_of(here)
    await here.append(live, event("e2"))
    await here.end(live)
    whole = await backup_of(here)
    other = other_gateway(alone=True)
    try:
        await restored(other, begun)
        (await other.open("s")).state.record.epoch = 1
        assert await restored(other, whole) == ["imported"]
        assert await other.log("s") == ["e1", "e2"]
    finally:
        await other.stop()


async def test_an_open_past_call_whose_end_is_still_to_be_imported_stays_one(join: StartMemory) -> None:
    here = join()
    await here.create("s", event("e1"), importing=True)
    (line,) = await backup_of(here)
    assert line["importing"] is True
    other = other_gateway()
    try:
        assert await restored(other, [line]) == ["imported"]
        assert (await other.stored("s")).importing
    finally:
        await other.stop()


@pytest.mark.parametrize("alone", [True, False])
async def test_a_restored_call_that_somebody_published_ends_as_abandoned_and_another_one_stays_open(
    here: MemoryGateway, alone: bool
) -> None:
    await here.claim(await here.create("published", event("e1")))
    await here.create("by REST", event("e1"))
    lines = await backup_of(here)
    assert {line["sessionId"]: line.get("published", False) for line in lines} == {"published": True, "by REST": False}
    other = other_gateway(alone=alone, search="off")
    other.start()
    try:
        assert await restored(other, lines) == ["imported", "imported"]
        await pass_time(other.config.abandon_after - 30)
        assert (await other.requests.view("published")).session.status == "active"
        await pass_time(60)
        ended = (await other.requests.view("published")).session
        assert (ended.status, ended.end_reason) == ("failed", "abandoned")
        assert (await other.requests.view("by REST")).session.status == "active"
        assert await restored(other, lines, verify=True) == ["ahead", "unchanged"]
    finally:
        await other.stop()


@pytest.mark.parametrize("watched", [True, False])
async def test_a_bot_that_comes_back_continues_with_its_restored_call(here: MemoryGateway, watched: bool) -> None:
    await here.claim(await here.create("s", event("e1")))
    lines = await backup_of(here)
    other = other_gateway(alone=True, search="off")
    other.start()
    try:
        await restored(other, lines)
        live = await other.open("s")
        if watched:
            live.state.audience = Crowd()
            assert await restored(other, lines) == ["unchanged"]
        seat = await other.claim(live)
        await pass_time(other.config.abandon_after + 60)
        send(live, seat, event("e1"), event("e2"))
        assert await seat.heard(2) == [1, 2]
    finally:
        await other.stop()
