"""The wiring of retention and of the archive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.clock import utc_now
from turnwire.gateway.config import Config, ConfigError
from turnwire.gateway.keeping.archiving import ArchiveCounts, Archiving
from turnwire.gateway.keeping.retention import Retention
from turnwire.gateway.keeping.retention_rules import RetentionRules, RulesFault
from turnwire.gateway.keeping.shared_work import SharedWork
from turnwire.gateway.running.periodic import Periodic
from turnwire.gateway.running.sessions import SessionParts
from turnwire.gateway.telemetry.metrics import Gauge
from turnwire.store.archive.objects import Objects, open_objects
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.keeping")


class KeepingParts:
    """All parts that archive or erase sessions whose time is over, and that read the archive."""

    def __init__(self, config: Config, parts: SessionParts, audit: Audit) -> None:
        """Make the parts. Raises ConfigError for settings that the gateway must not start with."""
        self._parts = parts
        self._audit = audit
        self._counts = ArchiveCounts()
        self._objects = self._open(config)
        self._retention = self._make_retention(config)

    def _open(self, config: Config) -> Objects | None:
        archive = self._parts.store.archive
        archive.on_trouble = self._read_failed
        if config.archive_url is None:
            return None
        try:
            objects = open_objects(config.archive_url)
        except ValueError as fault:
            raise ConfigError(f"TURNWIRE_ARCHIVE_URL: {fault}") from None
        archive.use(objects, cache_bytes=config.archive_cache_bytes, cache_seconds=config.archive_cache_seconds)
        return objects

    def _make_retention(self, config: Config) -> Retention | None:
        if not config.retention_days:
            return None
        try:
            rules = RetentionRules.read(config.retention_days, config.retention_rules)
        except RulesFault as fault:
            raise ConfigError(f"TURNWIRE_RETENTION_RULES: {fault}") from None
        parts = self._parts
        objects, counts = self._objects, self._counts
        return Retention(
            parts.store,
            parts.erasing,
            rules,
            self._gone,
            interval=config.retention_interval,
            shared=None if config.mongodb_uri is None else self._shared_work(config.retention_interval),
            archive=None if objects is None else Archiving(parts.context, parts.sessions, objects, counts),
            failed=self._failed,
        )

    def _shared_work(self, interval: float) -> SharedWork:
        parts = self._parts
        return SharedWork(parts.store.leases, "retention", interval, clock=parts.context.clock, now=utc_now)

    def _gone(self, session_id: str) -> None:
        if self._objects is None:
            self._audit.session_erased(session_id, None, forced=False)
        else:
            self._audit.session_archived(session_id)

    def _failed(self, error: Exception) -> None:
        reason = _reason_of(error)
        self._counts.failures += 1
        _log.warning("nothing is archived for now, and nothing leaves the database: %s", reason)
        self._audit.archive_failed(reason)

    def _read_failed(self, session_id: str, error: Exception) -> None:
        self._counts.reads_failed += 1
        _log.warning("session %r: its archived events cannot be read: %s", session_id, _reason_of(error))

    def start(self, periodic: Periodic) -> None:
        prepared = self._parts.sessions.prepared
        periodic.begin(self._forget_mark(prepared) if self._retention is None else self._retention.run(prepared))

    async def _forget_mark(self, prepared: asyncio.Event) -> None:
        """Forget how far retention has looked, because without retention nobody notes later changes."""
        await prepared.wait()
        await persist(self._parts.store.retention.forget_mark)

    def close(self) -> None:
        if self._objects is not None:
            self._objects.close()

    def counts(self) -> Iterator[Gauge]:
        counts = self._counts
        yield "sessions_archived", "Sessions moved into the archive.", counts.sessions
        yield "events_archived", "Events moved into the archive.", counts.events
        yield "archive_failures", "Sessions that could not be archived, and stay until the next look.", counts.failures
        yield "archive_reads_failed", "Reads of archived events that failed.", counts.reads_failed


def _reason_of(error: Exception) -> str:
    return str(getattr(error, "reason", error))
