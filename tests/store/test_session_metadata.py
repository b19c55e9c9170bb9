"""In a database that decodes what it reads, large metadata is stored as JSON, and is read as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo import AsyncMongoClient

from turnwire.protocol.codec import JSON, MSGPACK
from turnwire.protocol.messages import JsonObject, Limits
from turnwire.protocol.rules import checked_metadata
from turnwire.protocol.values import LARGE, is_packed, unpacked
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

NOW = datetime(2025, 6, 1, tzinfo=UTC)
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


async def test_large_metadata_is_not_decoded_for_a_list(store: Store) -> None:
    await store.sessions.create(SessionRecord("s", "en", NOW, metadata=BIG))
    (each,) = await store.sessions.load_stored(["s"])
    assert each.weight < LARGE
    listed = each.record().session()
    assert is_packed(listed.metadata)
    for codec, decode in ((JSON, msgspec.json.decode), (MSGPACK, msgspec.msgpack.decode)):
        assert repr(decode(codec.encode(listed))["metadata"]) == repr(BIG)


async def test_where_older_gateways_may_read_too_a_subdocument_is_stored(database_uri: str, database_name: str) -> None:
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
