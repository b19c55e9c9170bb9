"""The audit: a JSON line for each kind of happening, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.credentials import Clock, token
from turnwire.gateway.access.audit import Audit, claimed_key, configure_audit
from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.refusals import no_credential, rate_limited
from turnwire.protocol.rights import new_key

ALICE = Principal(id="sub:alice", scopes=frozenset())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the audit writes to standard error."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logger = logging.getLogger("turnwire.audit")
    before = (logger.handlers[:], logger.level, logger.propagate)
    configure_audit()
    yield written
    logger.handlers[:], logger.level, logger.propagate = before


def rows(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def new_audit(clock: Clock | None = None) -> Audit:
    return Audit(clock or Clock(), lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_each_kind_of_audit_event_has_its_line(lines: io.StringIO) -> None:
    audit = new_audit()
    audit.refused(no_credential(), "192.0.2.1", None, "GET", "/sessions")
    audit.limited("streams", "sub:alice")
    audit.connection_opened("publisher", ALICE, "192.0.2.1", "s")
    audit.connection_closed("publisher", ALICE, "192.0.2.1", 1000, "s")
    audit.session_created("s", ALICE)
    audit.session_ended("s", "failed", "abandoned", None)
    audit.session_erased("s", ALICE, forced=False)
    audit.takeover("s", ALICE, ANONYMOUS.id)
    audit.token_minted(
        ALICE, sub="b", jti="j", scope="session:read", sessions=["a*"], expires_at="2026-01-02T04:00:00Z"
    )
    audit.revoked(ALICE, "key:web", None)
    audit.keys_changed()
    told = rows(lines)
    assert [row["audit"] for row in told] == [
        "refused",
        "limited",
        "connection_opened",
        "connection_closed",
        "session_created",
        "session_ended",
        "session_erased",
        "takeover",
        "token_minted",
        "revoked",
        "keys_changed",
    ]
    assert {row["time"] for row in told} == {"2026-01-02T03:04:05.000Z"}
    assert told[0] == {
        "time": "2026-01-02T03:04:05.000Z",
        "audit": "refused",
        "status": 401,
        "reason": "no_credential",
        "address": "192.0.2.1",
        "method": "GET",
        "path": "/sessions",
    }
    assert told[5] == {
        "time": "2026-01-02T03:04:05.000Z",
        "audit": "session_ended",
        "sessionId": "s",
        "status": "failed",
        "reason": "abandoned",
    }


def test_a_client_over_a_limit_is_audited_once_a_minute(lines: io.StringIO) -> None:
    clock = Clock()
    audit = new_audit(clock)
    for _ in range(100):
        audit.refused(rate_limited("requests", "slow down", 1), "192.0.2.1", "sub:alice", "GET", "/")
        audit.refused(rate_limited("requests", "slow down", 1), "192.0.2.2", None, "GET", "/")
    assert [row["who"] for row in rows(lines)] == ["sub:alice", "192.0.2.2"]
    clock.now += 60
    audit.limited("requests", "sub:alice")
    assert len(rows(lines)) == 3


def test_an_audit_line_stays_one_short_line_whatever_it_contains(lines: io.StringIO) -> None:
    new_audit().session_created("a\nb\x1b[31m\ud800" + "x" * 1000, ALICE)
    [line] = lines.getvalue().splitlines()
    assert len(line) < 500
    assert "\x1b" not in line


def test_of_a_credential_the_audit_shows_only_the_key_id() -> None:
    key = new_key("bot")
    assert claimed_key(key) == "key:bot"
    assert claimed_key(token()) is None
    assert claimed_key(None) is None
