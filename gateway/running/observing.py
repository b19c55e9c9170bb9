"""The observer of a gateway, which passes on what its sessions report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from turnwire.gateway.access.enders import Enders
from turnwire.gateway.finding.gathering import Gathering
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.announcer import Announcer
from turnwire.gateway.sessions.figures_reader import FiguresReader
from turnwire.gateway.sessions.lazy_fields import LazyFields
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.gateway.watching.feed import Feed
from turnwire.gateway.watching.replays import Replays
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import JsonObject, SessionStatus


class GatewayObserver:
    """Passes on what sessions report. Calls each receiver by name: this is on the path of every event."""

    def __init__(
        self,
        lazy_fields: LazyFields,
        feed: Feed,
        metrics: Metrics,
        figures: FiguresReader,
        replays: Replays,
        *,
        search: Gathering | None,
        announcer: Announcer | None,
        enders: Enders | None,
        forget: Callable[[SessionState], None],
        call_ended: Callable[[SessionState], None],
    ) -> None:
        """`announcer`: None if no other gateway uses the database. `forget` takes a session out of memory.
        `call_ended` traces a call."""
        self._lazy_fields = lazy_fields
        self._figures = figures
        self._replays = replays
        self._search = search
        self._feed = feed
        self._metrics = metrics
        self._announcer = announcer
        self._enders = enders
        self._forget = forget
        self._call_ended = call_ended

    def advanced(self, state: SessionState, durable: Durable) -> None:
        self._feed.advanced(state, durable)
        if self._announcer is not None:
            self._announcer.advanced(state)
        if self._search is not None:
            self._search.advanced(state, durable)

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        self._lazy_fields.mark(state)
        self._feed.changed(state, before)
        if self._announcer is not None:
            self._announcer.changed(state, before)
        if self._search is not None and (state.ended or state.record.status != before):
            self._search.changed(state)

    def amended(self, state: SessionState, *, ours: bool) -> None:
        self.changed(state, state.record.status)
        if ours and self._announcer is not None:
            self._announcer.amended(state)
        if self._search is not None:
            self._search.changed(state)

    def created(self, state: SessionState) -> None:
        self._feed.changed(state, state.record.status)
        if self._search is not None:
            self._search.changed(state)

    def claimed(self, state: SessionState) -> None:
        if self._announcer is not None:
            self._announcer.claimed(state)

    def ended(self, state: SessionState) -> None:
        record = state.record
        if record.is_past:  # the import as a whole is audited
            return
        self._metrics.calls.ended(record.status, record.end_reason, record.figures)
        self._call_ended(state)
        if self._enders is not None:
            self._enders.report_end(state.session_id, record.status, record.end_reason)

    def signalled(self, state: SessionState, key: str, payload: JsonObject) -> None:
        if self._announcer is not None:
            self._announcer.signalled(state, key, payload)

    def silenced(self, state: SessionState, epoch: int) -> None:
        if self._announcer is not None:
            self._announcer.silenced(state, epoch)

    def attention_changed(self, state: SessionState) -> None:
        if self._announcer is not None:
            self._announcer.attention_changed(state)

    def unwritten(self, state: SessionState) -> None:
        self._lazy_fields.mark(state)

    def written(self, state: SessionState) -> None:
        self._lazy_fields.written(state)

    def contested(self, state: SessionState) -> None:
        if self._announcer is not None:
            self._announcer.amended(state)

    def unread(self, state: SessionState) -> None:
        self._figures.read(state)

    def round_answered(self, duplicates: int, refused: Sequence[ErrorCode], seconds: float | None) -> None:
        if duplicates:
            self._metrics.duplicates(duplicates)
        for code in refused:
            self._metrics.nacked(code, 1)
        if seconds is not None:
            self._metrics.acked(seconds)

    def erased(self, state: SessionState, *, here: bool) -> None:
        self._forget(state)
        self._lazy_fields.forget(state)
        self._figures.forget(state)
        self._replays.forget(state.session_id)
        self._feed.erased(state.session_id)
        self._feed.summaries.forget(state)
        if self._announcer is not None:
            self._announcer.erased(state, here=here)
        if self._search is not None:
            self._search.erased(state.session_id)

    def rolled_back(self, state: SessionState) -> None:
        self._metrics.log_rollbacks += 1
        self._replays.forget(state.session_id)
        if self._announcer is not None:
            self._announcer.rolled_back(state)
        self._feed.changed(state, state.record.status)

    def taken_over(self) -> None:
        self._metrics.takeover()
