"""How long a session is kept after its end: the days in the settings, and exceptions in a file."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from turnwire.protocol.messages import FinalStatus
from turnwire.protocol.values import in_words, unpacked
from turnwire.store.session_record import SessionRecord

_FOR_EVER = timedelta.max


class RulesFault(Exception):
    """A file of rules that cannot be used. The text gives the reason."""


class _Rule(Struct, forbid_unknown_fields=True):
    """Sessions that are kept for this many days, or for ever without `days`."""

    days: Annotated[float, Meta(ge=0, le=36_500)] | None = None
    status: FinalStatus | None = None
    metadata: dict[str, str | bool | int | float] = field(default_factory=dict)

    def matches(self, record: SessionRecord) -> bool:
        known = unpacked(record.metadata) if self.metadata else {}
        same = (_same(known.get(key), value) for key, value in self.metadata.items())
        return self.status in (None, record.status) and all(same)


class _File(Struct, forbid_unknown_fields=True):
    keep: list[_Rule] = field(default_factory=list)


class RetentionRules:
    """The first rule that matches a session applies. The days in the settings apply to all other sessions."""

    def __init__(self, days: float, rules: list[_Rule]) -> None:
        self._days = days
        self._rules = rules
        found = {days, *(rule.days for rule in rules if rule.days is not None)}
        self.times = [timedelta(days=each) for each in sorted(found)]
        """The times for which sessions are kept, shortest first. Sessions that are kept for ever have none."""
        self.digest = hashlib.sha256(msgspec.json.encode([days, rules])).hexdigest()
        """A digest that differs between sets of rules."""

    @classmethod
    def read(cls, days: float, path: Path | None) -> RetentionRules:
        """Read the rules. Raises RulesFault."""
        if path is None:
            return cls(days, [])
        try:
            rules = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).keep
        except OSError as error:
            raise RulesFault(f"cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise RulesFault(f"{path}: {in_words(str(error))}") from None
        for rule in rules:
            if rule.status is None and not rule.metadata:
                raise RulesFault(f"{path}: a rule needs a status or metadata")
        return cls(days, rules)

    def is_due(self, record: SessionRecord, now: datetime) -> bool:
        """Return whether the session ended long enough ago to be erased."""
        return record.ended_at is not None and now - record.ended_at >= self._kept_for(record)

    def is_late(self, record: SessionRecord, now: datetime) -> bool:
        """Return whether the session has ended, and would be due by now if it had ended when it began."""
        return record.ended_at is not None and now - record.started_at >= self._kept_for(record)

    def _kept_for(self, record: SessionRecord) -> timedelta:
        for rule in self._rules:
            if rule.matches(record):
                return _FOR_EVER if rule.days is None else timedelta(days=rule.days)
        return timedelta(days=self._days)


def _same(stored: Any, wanted: str | bool | int | float) -> bool:
    """Return whether a metadata value equals the value in a rule. True does not equal 1."""
    return isinstance(stored, bool) == isinstance(wanted, bool) and bool(stored == wanted)
