"""What `turnwire verify` reports about logs that are not whole."""

from __future__ import annotations

from msgspec import structs

from turnwire.commands.verify import Findings, LogCheck
from turnwire.protocol.messages import Event, Session
from turnwire.recording import RecordedEvent, Recording

START, END = "2026-01-01T10:00:00.000Z", "2026-01-01T10:10:00.000Z"


def session(last_seq: int, **fields: object) -> Session:
    whole = Session("s", "completed", "en", START, END, last_seq=last_seq, last_event_at=moment(last_seq))
    return structs.replace(whole, **fields)


def moment(seq: int) -> str:
    return f"2026-01-01T10:00:{seq:02d}.000Z"


def event(seq: int, event_id: str | None = None, timestamp: str | None = None, session_id: str = "s") -> Event:
    return Event(event_id or f"e{seq}", session_id, "system", {"n": seq}, timestamp or moment(seq), seq)


def check(of: Session, events: list[Event], recording: Recording | None = None) -> Findings:
    log = LogCheck(of, recording)
    for one in events:
        log.take(one)
    return log.finish()


def recording(*seqs: int) -> Recording:
    return Recording("s", "en", [RecordedEvent(f"e{seq}", "system", {"n": seq}, 0) for seq in seqs])


def test_verify_finds_no_faults_in_a_whole_log() -> None:
    found = check(session(3), [event(seq) for seq in (1, 2, 3)], recording(1, 2, 3))
    assert found == Findings("s", events=3)


def test_verify_counts_holes() -> None:
    found = check(session(7), [event(seq) for seq in (2, 3, 6)])
    assert found.missing == 4
    assert found.faults == ["seq 1 is missing", "seqs 4 to 5 are missing", "seq 7 is missing"]


def test_verify_counts_duplicates() -> None:
    found = check(session(3), [event(1), event(2), event(2), event(3, "e1")])
    assert found.doubled == 3
    assert found.faults == [
        "seq 2 comes after seq 2",
        "eventId 'e2' occurs twice, the second time at seq 2",
        "eventId 'e1' occurs twice, the second time at seq 3",
    ]


def test_verify_accepts_events_that_arrive_while_it_reads() -> None:
    live = session(1, status="active", ended_at=None)
    assert check(live, [event(1), event(2)]).faults == []


def test_verify_notes_a_timestamp_that_goes_back_without_calling_it_a_fault() -> None:
    found = check(session(3), [event(1), event(2, timestamp=START), event(3)])
    assert found.faults == []
    assert found.backwards == 1


def test_verify_reports_impossible_times() -> None:
    assert check(session(1), [event(1, timestamp="noon")]).faults == ["the timestamp of seq 1 is not a time: 'noon'"]
    assert check(session(1, last_event_at=START), [event(1)]).faults == [
        f"lastEventAt is {START}, but its event has {moment(1)}"
    ]
    assert check(session(0, last_event_at=START), []).faults == [f"there is no event, but lastEventAt is {START}"]
    assert check(session(1, ended_at=START, started_at=END), [event(1)]).faults == [
        f"endedAt {START} is before startedAt {END}"
    ]


def test_verify_reports_a_status_that_does_not_fit() -> None:
    assert check(session(1, ended_at=None), [event(1)]).faults == ["the status is completed, but endedAt is None"]
    assert check(session(1, status="initiated", ended_at=None), [event(1)]).faults == [
        "the status is initiated, but there are 1 events"
    ]


def test_verify_reports_events_of_another_session() -> None:
    assert check(session(1), [event(1, session_id="t")]).faults == ["seq 1 belongs to session 't'"]


def test_verify_compares_a_log_with_a_recording_event_by_event() -> None:
    assert check(session(1), [event(1)], recording(1, 2)).faults == ["the recorded event 'e2' is missing"]
    assert check(session(2), [event(1, "e2"), event(2, "e1")], recording(1, 2)).faults == [
        "seq 1, 'e2', is not what was recorded",
        "seq 2, 'e1', is not what was recorded",
        "the events are not in the order of the recording",
    ]
    assert check(session(2), [event(1), event(2)], recording(1)).faults == []
