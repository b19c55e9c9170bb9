"""In a database that decodes what it reads, large metadata is stored as JSON, and is read as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pymongo import AsyncMongoClient

from turnwire.protocol.codec import JSON, MSGPACK
from turnwire.protocol.messages import JsonObject, Limits
from turnwire.protocol.rules import checked_metadata
from turnwire.protocol.values import LARGE, is_packed, unpacked
from turnwire.store.mongo import Store
from turnwire.store.opening.old_metadata import pack_metadata
from turnwire.store.sessions import SessionQuery, SessionRecord

NOW = datetime(2025, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SMALL: JsonObject = {"customerId": "c1"}
EXACT: JsonObject = {"i": 2**53 + 1, "f": 1.0, "zero": -0.0, "ü": "\u2028"}
BIG: JsonObject = {**EXACT, "$x": {"a.b": [None, True]}, "items": [{"a": [number]} for number in range(600)]}


async def stored(database_uri: str, database_name: str) -> dict[str, Any]:
    """Return what is stored as the metadata of each session."""
    async with AsyncMongoClient[dict[str, Any]](database_uri) as client:
        return {each["_id"]: each["metadata"] async for each in client[database_name]["sessions"].find()}


async def test_large_metadata_is_stored_as_json_and_read_as_it_was(
    store: Store, database_uri: str, database_name: str
) -> None:
    for session_id, metadata in (("small", SMALL), ("big", BIG)):
        assert await store.sessions.create(SessionRecord(session_id, "en", NOW, metadata=metadata))
    assert await stored(database_uri, database_name) == {"small": SMALL, "big": msgspec.json.encode(BIG)}
    small, big = await store.sessions.load_all(["small", "big"])
    assert (repr(small.metadata), repr(unpacked(big.metadata))) == (repr(SMALL), repr(BIG))
    assert is_packed(big.metadata)
    (first, _) = await store.sessions.page(SessionQuery(limit=2))
    assert repr(first.metadata) == repr(SMALL)


async def test_metadata_is_stored_anew_in_either_form(store: Store, database_uri: str, database_name: str) -> None:
    record = SessionRecord("s", "en", NOW, metadata=SMALL)
    await store.sessions.create(record)
    for amended, metadata in enumerate((BIG, SMALL)):
        record.amended = amended
        assert await store.sessions.amend(record, metadata, "de", NOW)
        kept = (await stored(database_uri, database_name))["s"]
        assert kept == (msgspec.json.encode(BIG) if metadata is BIG else SMALL)
        found = await store.sessions.load("s")
        assert found is not None
        assert repr(unpacked(found.metadata)) == repr(metadata)


async def test_large_metadata_of_an_older_version_is_stored_as_json_and_only_once(
    store: Store, database_uri: str, database_name: str
) -> None:
    store.sessions.packs = False
    for number in range(120):  # more than are read at a time, of which some started in the same millisecond
        metadata = BIG if number % 60 == 7 else {"text": "\u0001" * 4000} if number == 8 else SMALL
        await store.sessions.create(SessionRecord(f"s{number}", "en", NOW + number // 3 * DAY, metadata=metadata))
    before = await stored(database_uri, database_name)
    assert await pack_metadata(store.sessions) == 0, "on a database that decodes nothing, or that older gateways use"
    store.sessions.packs = True
    read_before = await store.sessions.load("s7")
    assert read_before is not None
    assert await pack_metadata(store.sessions) == 3
    after = await stored(database_uri, database_name)
    assert {key for key, value in after.items() if type(value) is bytes} == {"s7", "s8", "s67"}
    assert {key: value for key, value in after.items() if type(value) is not bytes}.items() <= before.items()
    for session_id in ("s7", "s8"):
        found = await store.sessions.load(session_id)
        assert found is not None
        assert repr(unpacked(found.metadata)) == repr(before[session_id])
    assert await pack_metadata(store.sessions) == 0


async def test_metadata_that_is_amended_meanwhile_stays_as_amended(
    store: Store, database_uri: str, database_name: str
) -> None:
    store.sessions.packs = False
    await store.sessions.create(SessionRecord("s", "en", NOW, metadata=BIG))
    read = await store.sessions.load("s")
    assert read is not None
    assert await store.sessions.amend(read, SMALL, "en", NOW)
    assert not await store.sessions.pack(read)
    assert await stored(database_uri, database_name) == {"s": SMALL}


async def test_large_metadata_is_not_decoded_for_a_list(store: Store) -> None:
    await store.sessions.create(SessionRecord("s", "en", NOW, metadata=BIG))
    (each,) = await store.sessions.load_stored(["s"])
    assert each.weight < LARGE
    listed = each.record().session()
    assert is_packed(listed.metadata)
    for codec, decode in ((JSON, msgspec.json.decode), (MSGPACK, msgspec.msgpack.decode)):
        assert repr(decode(codec.encode(listed))["metadata"]) == repr(BIG)


async def test_metadata_that_older_gateways_may_read_is_stored_as_a_subdocument(
    database_uri: str, database_name: str
) -> None:
    async with AsyncMongoClient[dict[str, Any]](database_uri) as client:
        await client[database_name]["turnwire"].insert_one({"_id": "format", "format": 1})
    store = Store.connect(database_uri, database_name)
    try:
        await store.prepare()
        await store.sessions.create(SessionRecord("s", "en", NOW, metadata=BIG))
        assert await stored(database_uri, database_name) == {"s": BIG}
    finally:
        await store.close()


async def test_stored_metadata_with_a_large_integer_can_be_stored_again(store: Store) -> None:
    await store.sessions.create(SessionRecord("s", "en", NOW, metadata=EXACT))
    record = await store.sessions.load("s")
    assert record is not None
    metadata = checked_metadata({**record.metadata, "more": 1}, Limits())
    assert await store.sessions.amend(record, metadata, "en", NOW)
    again = await store.sessions.load("s")
    assert again is not None
    assert repr(again.metadata) == repr({**EXACT, "more": 1})
