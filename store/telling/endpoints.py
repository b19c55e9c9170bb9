"""Webhook endpoints: what was registered, how far each one has been told, and which gateway serves it now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, field
from pymongo.errors import DuplicateKeyError, WriteError

from turnwire.store.condition import DatabaseCondition

Document = dict[str, Any]
_READ = "read webhooks"
_UPDATE = "update webhooks"


class Secret(Struct, frozen=True):
    """A secret that signs messages. `until`: when it ends, after a rotation; None for the newest one."""

    text: str
    until: datetime | None = None


class Lease(Struct, frozen=True):
    """Which gateway serves an endpoint. The holder keeps raising `beat`. A holder of None means that no gateway serves
    it."""

    holder: str | None = None
    beat: int = 0


class Report(Struct, frozen=True):
    """The state of an endpoint, as its gateway last stored it."""

    waiting: int = 0
    failing: int = 0
    delivered_at: datetime | None = None
    last_error: str | None = None
    told_until: datetime | None = None
    """Everything has been told about all sessions that began earlier, apart from those that are failing. None in
    a report of an older version."""


class Endpoint(Struct, kw_only=True):
    """A stored endpoint."""

    webhook_id: str
    url: str
    events: list[str]
    description: str | None = None
    secrets: list[Secret] = field(default_factory=list)
    """Newest first."""
    created_at: datetime
    floor: datetime
    """Nothing that happened earlier is told."""
    seen_until: datetime
    """All sessions that began before this time have been told, or have a document of their progress."""
    round: int = 0
    """The number of times the telling was started again from another time. Progress belongs to one round."""
    enabled_at: datetime
    """When the endpoint was registered or last enabled. Earlier failures do not count."""
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    lease: Lease = field(default_factory=Lease)
    report: Report = field(default_factory=Report)

    @property
    def progress_key(self) -> str:
        """The key that the documents of progress in this round have in common."""
        return f"{self.webhook_id}.{self.round}"

    def secrets_at(self, now: datetime) -> list[str]:
        """Return the secrets that sign now, newest first."""
        return [secret.text for secret in self.secrets if secret.until is None or now < secret.until]


class EndpointStore:
    """Reads and writes of endpoints. There are few of them. All methods raise StorageUnavailable."""

    def __init__(self, endpoints: Any, condition: DatabaseCondition | None = None) -> None:
        """`endpoints`: a Motor collection."""
        self._endpoints = endpoints
        self._condition = condition or DatabaseCondition()

    async def all(self) -> list[Endpoint]:
        """Return all endpoints, in the order of their registration."""
        documents = await self._condition.ask(_READ, self._endpoints.find({}).to_list(length=None))
        return sorted(map(_endpoint_of, documents), key=lambda each: (each.created_at, each.webhook_id))

    async def load(self, webhook_id: str) -> Endpoint | None:
        document = await self._condition.ask(_READ, self._endpoints.find_one({"_id": webhook_id}))
        return None if document is None else _endpoint_of(document)

    async def add(self, endpoint: Endpoint) -> bool:
        """Store a new endpoint. Return False, and change nothing, if its id exists already."""
        return bool(await self._condition.ask(_UPDATE, self._insert(_document_of(endpoint))))

    async def _insert(self, document: Document) -> bool:
        try:
            await self._endpoints.insert_one(document)
        except DuplicateKeyError:
            return False
        except WriteError as error:
            if error.code != 11000:  # some servers do not distinguish this error
                raise
            return False
        return True

    async def configure(self, endpoint: Endpoint) -> bool:
        """Store what an operator sets. Return False if there is no such endpoint."""
        change = {
            "url": endpoint.url,
            "events": endpoint.events,
            "description": endpoint.description,
            "secrets": _secrets_of(endpoint),
            **_enabled(endpoint),
        }
        return await self._update({"_id": endpoint.webhook_id}, change)

    async def restart(self, endpoint: Endpoint) -> bool:
        """Store where a new round begins. Return False if there is no such endpoint."""
        seen = {"seenUntil": endpoint.seen_until, "toldUntil": endpoint.seen_until}
        change = {"floor": endpoint.floor, "round": endpoint.round, **seen}
        return await self._update({"_id": endpoint.webhook_id}, {**change, **_enabled(endpoint)})

    async def remove(self, webhook_id: str) -> bool:
        """Remove the endpoint. Return whether it existed."""
        result = await self._condition.ask(_UPDATE, self._endpoints.delete_many({"_id": webhook_id}))
        return bool(result.deleted_count)

    # Serving it

    async def take(self, webhook_id: str, known: Lease, holder: str | None) -> bool:
        """Pass the lease from its known holder to `holder`. Return False if the lease has changed since."""
        condition = {"_id": webhook_id, "holder": known.holder, "beat": known.beat}
        return await self._update(condition, {"holder": holder, "beat": known.beat + 1})

    async def note(self, endpoint: Endpoint, seen_until: datetime, report: Report) -> bool:
        """Store how far the holder has come in this round. Return False if it no longer holds the lease."""
        condition = {"_id": endpoint.webhook_id, "holder": endpoint.lease.holder, "round": endpoint.round}
        return await self._update(condition, {"seenUntil": seen_until, **_report(report)})

    async def disable(self, endpoint: Endpoint, now: datetime, reason: str) -> bool:
        """Disable the endpoint, unless its holder has changed or another round has begun."""
        condition = {"_id": endpoint.webhook_id, "holder": endpoint.lease.holder, "round": endpoint.round}
        return await self._update(condition, {"disabledAt": now, "disabledReason": reason})

    async def _update(self, condition: Document, change: Document) -> bool:
        result = await self._condition.ask(_UPDATE, self._endpoints.update_one(condition, {"$set": change}))
        return bool(result.matched_count)


def _secrets_of(endpoint: Endpoint) -> list[Document]:
    return [{"text": secret.text, "until": secret.until} for secret in endpoint.secrets]


def _enabled(endpoint: Endpoint) -> Document:
    return {
        "enabledAt": endpoint.enabled_at,
        "disabledAt": endpoint.disabled_at,
        "disabledReason": endpoint.disabled_reason,
    }


def _report(report: Report) -> Document:
    return {
        "waiting": report.waiting,
        "failing": report.failing,
        "deliveredAt": report.delivered_at,
        "lastError": report.last_error,
        "toldUntil": report.told_until,
    }


def _document_of(endpoint: Endpoint) -> Document:
    return {
        "_id": endpoint.webhook_id,
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "secrets": _secrets_of(endpoint),
        "createdAt": endpoint.created_at,
        "floor": endpoint.floor,
        "seenUntil": endpoint.seen_until,
        "round": endpoint.round,
        **_enabled(endpoint),
        "holder": endpoint.lease.holder,
        "beat": endpoint.lease.beat,
        **_report(endpoint.report),
    }


def _endpoint_of(document: Document) -> Endpoint:
    return Endpoint(
        webhook_id=document["_id"],
        url=document["url"],
        events=document["events"],
        description=document["description"],
        secrets=[Secret(each["text"], each["until"]) for each in document["secrets"]],
        created_at=document["createdAt"],
        floor=document["floor"],
        seen_until=document["seenUntil"],
        round=document["round"],
        enabled_at=document["enabledAt"],
        disabled_at=document["disabledAt"],
        disabled_reason=document["disabledReason"],
        lease=Lease(document["holder"], document["beat"]),
        report=Report(
            document["waiting"],
            document["failing"],
            document["deliveredAt"],
            document["lastError"],
            document.get("toldUntil"),
        ),
    )
