"""Reading recorded conversations: what is accepted, and how faults are reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from turnwire.gateway.running.demo import demo_calls
from turnwire.recording import RecordingError, read_recordings


def call(session_id: str = "s1", **fields: Any) -> dict[str, Any]:
    events = [
        {"eventId": "e1", "type": "system", "payload": {"event": "call.started"}, "offsetMs": 0},
        {"eventId": "e2", "type": "user_speech", "payload": {"text": "Hello"}, "offsetMs": 1200},
    ]
    return {
        "sessionId": session_id,
        "language": "en",
        "metadata": {"a": 1},
        "durationMs": 2000,
        "events": events,
    } | fields


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_recorded_calls_are_read_one_per_line(tmp_path: Path) -> None:
    first, second = read_recordings(write(tmp_path / "calls.ndjson", call("s1"), "", call("s2", language="de")))
    assert (first.session_id, second.session_id) == ("s1", "s2")
    assert second.language == "de"
    assert first.metadata == {"a": 1}
    assert [(event.event_id, event.offset_ms) for event in first.events] == [("e1", 0), ("e2", 1200)]


def test_a_compressed_recording_is_recognized_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    path.write_bytes(gzip.compress(json.dumps(call()).encode()))
    assert [recording.session_id for recording in read_recordings(path)] == ["s1"]


def test_metadata_and_duration_of_a_recording_may_be_left_out(tmp_path: Path) -> None:
    line = call()
    del line["metadata"], line["durationMs"]
    (recording,) = read_recordings(write(tmp_path / "calls.ndjson", line))
    assert recording.metadata == {}
    assert recording.duration_ms is None


def event(**fields: Any) -> dict[str, Any]:
    return {"eventId": "e1", "type": "system", "payload": {}, "offsetMs": 0} | fields


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "line 2: .*truncated"),
        ("[]", "line 2: Expected `object`"),
        (call("s2", events=[event(offsetMs=-1)]), r"line 2: Expected `int` >= 0 .*\$.events\[0\].offsetMs"),
        (call("s2", events=[event(type="speech")]), r"line 2: Invalid enum value 'speech'"),
        (call("s2", events=[event(offsetMs=5), event(eventId="e2", offsetMs=4)]), r"line 2: events\[1\]: .*goes back"),
        (call("s2", events=[event(), event()]), r"line 2: events\[1\]: the eventId 'e1' occurs twice"),
        (call("s2", events=[event(eventId="")]), r"line 2: events\[0\]: eventId must have 1 to 256"),
        (call("s2", events=[event(payload={"n": 2**63})]), r"line 2: events\[0\]: payload.n: an integer"),
        (call(""), "line 2: sessionId must have 1 to 256"),
        (call(".."), r"line 2: sessionId must not be \.\."),
        (call("s1"), "line 2: session 's1' is in line 1 already"),
    ],
)
def test_a_bad_line_of_a_recording_is_named_by_its_number(tmp_path: Path, line: object, fault: str) -> None:
    recordings = read_recordings(write(tmp_path / "calls.ndjson", call("s1"), line))
    assert next(recordings).session_id == "s1"
    with pytest.raises(RecordingError, match=fault):
        next(recordings)


@pytest.mark.parametrize("keep", [15, 60])
def test_a_damaged_archive_is_reported(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "calls.ndjson.gz"
    path.write_bytes(gzip.compress(json.dumps(call()).encode())[:keep])
    with pytest.raises(RecordingError, match="damaged"):
        list(read_recordings(path))


def test_a_recordings_end_reason_is_that_of_its_last_call_ended(tmp_path: Path) -> None:
    ended = event(eventId="e9", payload={"event": "call.ended", "reason": "user_hangup"})
    lines = [call("s1", events=[event(), ended]), call("s2")]
    first, second = read_recordings(write(tmp_path / "calls.ndjson", *lines))
    assert first.end_reason == "user_hangup"
    assert second.end_reason is None


def test_the_scripted_calls_contain_every_kind_of_event() -> None:
    calls = demo_calls()
    assert len(calls) >= 4
    assert {"en", "de"} <= {recording.language for recording in calls}
    happened = {event.payload.get("event") for recording in calls for event in recording.events}
    assert {"call.started", "call.ended", "tool.started", "tool.completed", "tool.failed", "interruption"} <= happened
    for recording in calls:
        assert 12 <= len(recording.events) <= 30
        assert recording.end_reason is not None
        assert recording.duration_ms is not None
        assert recording.events[-1].offset_ms <= recording.duration_ms
