"""The head moves, and everybody who wants to know hears of it in the same step."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import hear
from turnwire.gateway.live.items import SignalItem
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.open_commands import push_of
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.control.commands import Command
from turnwire.protocol.messages import Event, SessionStatus

_log = logging.getLogger("turnwire.session")


def advance(context: Context, state: SessionState, durable: Durable, *, needed: bool = False) -> list[Event]:
    """Move the head over these events and show them to all who watch. No await, so that a watcher joins exactly.

    Returns the events as the wire has them, if anybody watches or they are `needed`.
    """
    if not durable.events:
        return []
    before = state.advance(durable, context.clock())
    hear(context, state, durable)
    context.observer.advanced(state, durable)
    if state.commands is not None:
        deliver(state, state.commands.heard(event for _, event in durable.events))
    events: list[Event] = []
    if needed or state.audience is not None:
        events = durable.shaped(state.session_id)
    if state.audience is not None:
        state.audience.advanced(events)
    changed(context, state, before)
    return events


def changed(context: Context, state: SessionState, before: SessionStatus) -> None:
    """Tell of new fields of the record, and of its status if that is new."""
    if state.audience is not None and state.record.status != before:
        state.audience.session_changed()
    context.observer.changed(state, before)


def deliver(state: SessionState, commands: Iterable[Command]) -> None:
    """Ask the session's bot to do this, if it is here and takes such commands, and their time is not over."""
    publisher, accepted = state.publisher, state.record.commands
    if publisher is None or not accepted:
        return
    now = utc_now()
    for command in commands:
        if command.command in accepted and now < command.expires_at:
            publisher.commanded(push_of(command))


def signal(context: Context, state: SessionState, item: SignalItem) -> None:
    """Show a signal to all who watch, here and elsewhere, and keep it for those who join before it is void."""
    if state.is_fenced(item.publisher):
        return
    state.signalled(item.key, item.payload)
    if state.audience is not None:
        state.audience.signalled(item.key, item.payload)
    context.observer.signalled(state, item.key, item.payload)


def tell(context: Context, state: SessionState, *, ours: bool = True) -> None:
    """Show the session to all who watch it, though its status is what it was. `ours`: this gateway has just stored
    what is new."""
    if state.audience is not None:
        state.audience.session_changed()
    context.observer.amended(state, ours=ours)


def fence(context: Context, state: SessionState, epoch: int) -> None:
    """A newer publisher has claimed the session at another gateway: the one here is closed."""
    publisher = state.fence(epoch)
    if publisher is not None:
        publisher.superseded()
        context.observer.taken_over()
    _log.info("session %r: superseded by epoch %d at another gateway", state.session_id, epoch)
