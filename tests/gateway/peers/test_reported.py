"""What other gateways have reported is kept up to a number of sessions, and up to a number of bytes."""

from __future__ import annotations

from turnwire.gateway.peers.reported import ReportedSessions
from turnwire.gateway.watching.feed import Change
from turnwire.protocol.messages import JsonObject, Session

MIB = 1024 * 1024


def change(session_id: str, metadata: JsonObject | None = None, last_seq: int = 0) -> Change:
    return Change(Session(session_id, "active", "en", "2025-01-01T00:00:00.000Z", None, metadata or {}, last_seq))


def ids_of(reported: ReportedSessions) -> list[str]:
    return [session.session_id for session in reported]


def test_the_sessions_reported_longest_ago_are_dropped_first() -> None:
    reported = ReportedSessions(most=3)
    for session_id in ("a", "b", "c", "a", "d"):
        reported.keep(change(session_id))
    assert ids_of(reported) == ["c", "a", "d"]
    assert reported.get("b") is None


def test_reports_of_large_sessions_are_bounded_in_bytes() -> None:
    large: JsonObject = {"items": [{"a": [number]} for number in range(4000)]}  # 60 KB of text, over 1 MiB if decoded
    reported = ReportedSessions(most_bytes=MIB)
    for number in range(100):
        reported.keep(change(f"s{number}", large))
    assert 12 <= len(reported) <= 20
    assert reported.size <= MIB
    assert ids_of(reported)[-1] == "s99"


def test_a_session_that_is_reported_again_is_counted_once() -> None:
    reported = ReportedSessions()
    for last_seq in range(5):
        reported.keep(change("a", {"x": "y" * 1000}, last_seq))
    once = reported.size
    newest = reported.get("a")
    assert newest is not None
    assert (len(reported), newest.session.last_seq) == (1, 4)
    reported.keep(change("b", {"x": "y" * 1000}))
    assert reported.size == 2 * once
    reported.drop("a")
    reported.drop("b")
    reported.drop("b")
    assert (len(reported), reported.size) == (0, 0)


def test_frames_that_were_made_of_a_change_are_not_kept_with_it() -> None:
    told, reported = change("a"), ReportedSessions()
    reported.keep(told)
    kept = reported.get("a")
    assert kept is not None
    assert kept is not told
    assert kept.session is told.session
