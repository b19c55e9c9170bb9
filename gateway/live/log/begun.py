"""Appends that need no task: those to a session of which everything is known here."""

from __future__ import annotations

from msgspec import Struct

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AppendItem
from turnwire.gateway.live.log.append_round import AppendRound
from turnwire.gateway.live.log.durable import Durable, admitted_times, rise
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import Overloaded
from turnwire.protocol.messages import EventIn
from turnwire.protocol.rules import Ledger
from turnwire.store.event_log import PendingAppend, event_documents


class Begun(Struct, eq=False):
    """An append whose events are on their way to the log. Until they are there, nothing else happens to the session."""

    item: AppendItem
    round_: AppendRound
    ledger: Ledger
    events: list[tuple[int, EventIn]]
    stored: PendingAppend
    began: float
    """On the loop's clock."""

    def durable(self) -> Durable | None:
        """Return what is durable now, if all went well; else None."""
        done = self.stored.done
        if done.cancelled() or done.exception() is not None or done.result() < len(self.events):
            return None
        return Durable(events=self.events)


def begin_plain(context: Context, state: SessionState, item: AppendItem) -> Begun | None:
    """Send the events of an append on their way, if all are valid, new and in the order of time. Else do nothing and
    return None. Nobody may have changed the session elsewhere: see `appending.begin`."""
    ledger = state.log.ledger
    if ledger is None or ledger.next_seq != ledger.head + 1:
        return None
    round_ = AppendRound(ledger, state.session_id, context.max_session_events)
    if not round_.admit_plain((item,)):
        return None
    events = list(ledger.pending())
    try:
        if rise(state.record.last_event_at, admitted_times(events)):
            documents = event_documents(state.session_id, events, state.record.life)
            stored = context.store.events.begin(state.session_id, documents, item.weight, state.log.as_of, state.head)
            return Begun(item, round_, ledger, events, stored, context.clock())
    except Overloaded:
        pass  # the task will find that out again, and answer
    ledger.forget_pending()
    return None
