"""One call, written with the client that openapi-python-client makes. mypy checks it against that client."""

from __future__ import annotations

from datetime import datetime

from turnwire_client import Client
from turnwire_client.api.events import append_events, read_events
from turnwire_client.api.sessions import complete_session, create_session, list_sessions, read_session
from turnwire_client.models import (
    CompleteSession,
    CreateSession,
    ErrorEnvelope,
    EventBatchIn,
    EventIn,
    EventInType,
    EventPage,
    JsonObject,
    ListSessionsStatus,
    Session,
    SessionHistory,
    SessionList,
)


def call(url: str) -> datetime | None:
    """Carry out a call; return when it ended."""
    client = Client(base_url=url)
    metadata = JsonObject.from_dict({"caller": "+4930123456", "tags": ["a", {"b": None}]})
    created = create_session.sync(client=client, body=CreateSession(language="en", metadata=metadata))
    assert isinstance(created, Session), created
    session_id: str = created.session_id
    said = EventIn(event_id="e1", type_=EventInType.USER_SPEECH, payload=JsonObject.from_dict({"text": "Hello!"}))
    append_events.sync(session_id, client=client, body=said)
    noted = EventIn(event_id="e2", type_=EventInType.SYSTEM, payload=JsonObject())
    append_events.sync(session_id, client=client, body=EventBatchIn(events=[said, noted]))
    page = read_events.sync(session_id, client=client, after_seq=1)
    assert isinstance(page, EventPage), page
    history = read_session.sync(session_id, client=client)
    assert isinstance(history, SessionHistory), history
    text: object = history.events[0].payload["text"]
    assert text == "Hello!", text
    listed = list_sessions.sync(client=client, status=ListSessionsStatus.ACTIVE, limit=5)
    assert isinstance(listed, SessionList), listed
    assert listed.sessions[0].last_seq == page.events[-1].seq == 2
    ended = complete_session.sync(session_id, client=client, body=CompleteSession(reason="hangup"))
    assert isinstance(ended, Session), ended
    missing = read_session.sync("nobody", client=client)
    assert isinstance(missing, ErrorEnvelope), missing
    ended_at: datetime | None = ended.ended_at
    return ended_at
