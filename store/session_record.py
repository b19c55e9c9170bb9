"""A stored session, its document, and the document as the database has sent it."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import msgspec
from bson import decode
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from msgspec import UNSET, Struct, field

from turnwire.protocol.messages import JsonObject, Session, SessionFigures, SessionStatus
from turnwire.protocol.times import format_time
from turnwire.protocol.values import LARGE
from turnwire.store.archive.mark import ArchiveMark, archive_mark_of
from turnwire.store.session_commands import CommandMark, mark_of
from turnwire.store.session_metadata import metadata_in, stored_metadata

Document = dict[str, Any]
ERASED = "erased"
"""The stored status of a session that is being erased. Its document holds nothing else that was known about it."""
NO_LIFE = 0
"""The life in the document of a session that is being erased. No write to a session matches it."""
_MAX_LIFE = 2**31 - 1
_PACKED_IS_LIGHTER = 8


class SessionRecord(Struct):
    """A stored session. Times are aware UTC datetimes with milliseconds."""

    session_id: str
    language: str
    started_at: datetime
    status: SessionStatus = "initiated"
    ended_at: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)
    last_seq: int = 0
    last_event_at: datetime | None = None
    end_reason: str | None = None
    epoch: int = 0
    """The number of times a publisher has claimed the session."""
    time_ordered: bool = True
    """Whether timestamps never fall from one event to the next."""
    heartbeat: int = 0
    """A count that the gateway of the publisher raises now and then. If the count stands still, no gateway has a
    publisher."""

    figures: SessionFigures | None = None
    """Stored when the session ends."""
    amended: int = 0
    """The number of times metadata or language have been changed."""
    commands: list[str] | None = None
    """The commands that the publisher of this epoch accepts; None if it has not said."""
    command_mark: CommandMark | None = None
    life: int | None = None
    """Distinguishes the session from an erased one of the same id. None for sessions from before lives existed."""
    importing: bool = False
    """Whether this is a past call whose end has not been imported yet, so that its age does not end it."""
    holder: str | None = None
    """The principal id of the connected publisher; None when no publisher is connected, as far as is known."""
    created_at: datetime | None = None
    """When the session was created, if it had begun before that; None if it was created when it began."""
    creation: str | None = None
    """The request that created the session, until all events and the end that belong to it are stored."""
    contested: int = 0
    """A count that a gateway raises when others keep taking the log's next position before it."""
    traceparent: str | None = None
    """The trace named by the latest publisher that named one, in the form of W3C Trace Context."""
    archiving: str | None = None
    """The latest attempt to archive the session, objects of which may be in the archive; None if there was none."""
    archive: ArchiveMark | None = None
    """Set once the session's log is archived."""

    @property
    def is_past(self) -> bool:
        """Whether this is a past call that is being imported, and that no publisher has claimed since."""
        return self.importing and not self.epoch

    def session(self) -> Session:
        """Return the wire shape."""
        return Session(
            session_id=self.session_id,
            status=self.status,
            language=self.language,
            started_at=format_time(self.started_at),
            ended_at=None if self.ended_at is None else format_time(self.ended_at),
            metadata=self.metadata,
            last_seq=self.last_seq,
            last_event_at=None if self.last_event_at is None else format_time(self.last_event_at),
            end_reason=self.end_reason,
            figures=self.figures,
            commands=UNSET if self.commands is None else self.commands,
            archived=UNSET if self.archive is None else True,
        )


def new_life() -> int:
    """Return a random number. Two sessions of the same id hardly ever get the same one."""
    return random.randint(NO_LIFE + 1, _MAX_LIFE)


def this_life(record: SessionRecord) -> Document:
    """Return the condition that finds the stored session, and never another one of its id."""
    return {"_id": record.session_id, "life": record.life}


def is_erased(document: Document) -> bool:
    """Return whether the document is the remainder of a session that is being erased."""
    return bool(document["status"] == ERASED)


def lazy_fields(record: SessionRecord) -> Document:
    return {"lastSeq": record.last_seq, "lastEventAt": record.last_event_at, "heartbeat": record.heartbeat}


def traced(traceparent: str | None) -> Document:
    """Return the field for the trace of a publisher, or no field without one."""
    return {} if traceparent is None else {"traceparent": traceparent}


def kept_figures(record: SessionRecord) -> Document:
    """Return the field for the figures, or no field if they are unknown here, because another gateway may know them."""
    return {} if record.figures is None else {"figures": msgspec.to_builtins(record.figures)}


def _figures(stored: Document | None) -> SessionFigures | None:
    try:
        return None if stored is None else msgspec.convert(stored, SessionFigures)
    except msgspec.ValidationError:  # another version has written it
        return None


def document_of(record: SessionRecord, *, packs: bool = False) -> Document:
    """Return the document. `packs`: store large metadata as JSON."""
    return {
        "_id": record.session_id,
        "status": record.status,
        "language": record.language,
        "startedAt": record.started_at,
        "endedAt": record.ended_at,
        "metadata": stored_metadata(record.metadata, packs=packs),
        **lazy_fields(record),
        "endReason": record.end_reason,
        "epoch": record.epoch,
        "timeOrdered": record.time_ordered,
        "life": record.life,
        **({} if record.holder is None else {"holder": record.holder}),
        **({"importing": True} if record.importing else {}),
        **({} if record.created_at is None else {"createdAt": record.created_at}),
        **({} if record.creation is None else {"creation": record.creation}),
        **traced(record.traceparent),
    }


def record_of(document: Document) -> SessionRecord:
    return SessionRecord(
        session_id=document["_id"],
        language=document["language"],
        started_at=document["startedAt"],
        status=document["status"],
        ended_at=document["endedAt"],
        metadata=metadata_in(document["metadata"]),
        last_seq=document["lastSeq"],
        last_event_at=document["lastEventAt"],
        end_reason=document["endReason"],
        epoch=document["epoch"],
        time_ordered=document["timeOrdered"],
        heartbeat=document["heartbeat"],
        figures=_figures(document.get("figures")),
        amended=document.get("amended", 0),
        commands=document.get("commands"),
        command_mark=mark_of(document),
        life=document.get("life"),
        holder=document.get("holder"),
        created_at=document.get("createdAt"),
        creation=document.get("creation"),
        contested=document.get("contested", 0),
        traceparent=document.get("traceparent"),
        importing=document.get("importing", False),
        archiving=document.get("archiving"),
        archive=archive_mark_of(document),
    )


class StoredSession(Struct, frozen=True):
    """A session of a page, with the fields that decide its place in a list.

    Decoding 60 KB of metadata takes 2 ms, which nothing can interrupt, and the result takes 20 times the memory. So the
    metadata is decoded only when the session is shown, and dropped before the next one is decoded.
    """

    session_id: str
    started_at: datetime
    last_seq: int
    weight: int
    """What reading the session costs a database that decodes documents, as the size in bytes of a document of small
    values."""
    _document: RawBSONDocument
    _codec: CodecOptions[Document]

    @property
    def may_hold_large_document(self) -> bool:
        """Whether its metadata may be as large as what is stored as JSON, and is not."""
        return type(self._document["metadata"]) is not bytes and len(self._document.raw) >= LARGE

    def record(self) -> SessionRecord:
        """Decode the session. Returns a new object each time."""
        return record_of(decode(self._document.raw, self._codec))


class StoredSessions:
    """Reads documents of a collection without decoding their metadata."""

    def __init__(self, sessions: Any) -> None:
        self._codec: CodecOptions[Document] = sessions.codec_options
        raw = sessions.codec_options.with_options(document_class=RawBSONDocument)
        self._raw = sessions.with_options(codec_options=raw)

    def find(self, condition: Document) -> Any:
        """Return a cursor of documents for `of`."""
        return self._raw.find(condition)

    def of(self, document: RawBSONDocument) -> StoredSession:
        """Return the session of the document. Raises KeyError for the remainder of an erased one."""
        return StoredSession(
            document["_id"],
            document["startedAt"],
            document["lastSeq"],
            _weight(document),
            document,
            self._codec,
        )

    def by_id(self, documents: list[RawBSONDocument]) -> dict[str, StoredSession]:
        """Return the sessions by their ids, without those that are being erased."""
        return {each["_id"]: self.of(each) for each in documents if each["status"] != ERASED}


def _weight(document: RawBSONDocument) -> int:
    size = len(document.raw)
    return size // _PACKED_IS_LIGHTER if type(document["metadata"]) is bytes else size
