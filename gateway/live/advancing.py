"""Moves the head of a session, and reports each change to those who watch, to the bot, and to the observer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import update_conversation
from turnwire.gateway.live.items import SignalItem
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.open_commands import push_of
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.control.commands import Command
from turnwire.protocol.messages import Event, SessionStatus

_log = logging.getLogger("turnwire.session")

Answer = Callable[[list[Event]], None]


def nobody(events: list[Event]) -> None:
    """Answer nobody: the events come from another gateway, or it is not yet known whether their sender may be
    answered."""


def advance(
    context: Context, state: SessionState, durable: Durable, answer: Answer = nobody, *, needed: bool = False
) -> list[Event]:
    """Move the head over these events, `answer` those who sent them, and show them to all who watch.

    There is no await in between, so a watcher that joins misses nothing and sees nothing twice. The answer comes first:
    it does not wait for a thousand watchers. Returns the events in their wire form if anybody watches or they are
    `needed`; else an empty list. `answer` gets the same list.
    """
    if not durable.events:
        answer([])
        return []
    before = state.advance(durable, context.clock())
    events = durable.shaped(state.session_id) if needed or state.audience is not None else []
    answer(events)
    update_conversation(context, state, durable)
    context.observer.advanced(state, durable)
    if state.commands is not None:
        deliver(state, state.commands.learn(event for _, event in durable.events))
    if state.audience is not None:
        state.audience.advanced(events, context.waiting)
    report_change(context, state, before)
    return events


def report_change(context: Context, state: SessionState, before: SessionStatus) -> None:
    """Report a change of the record, and show the session to those who watch if its status has changed."""
    if state.audience is not None and state.record.status != before:
        state.audience.session_changed(state.session())
    context.observer.changed(state, before)


def deliver(state: SessionState, commands: Iterable[Command]) -> None:
    """Send the session's bot, if it is connected here, those commands that it accepts and that have not expired."""
    publisher, accepted = state.publisher, state.record.commands
    if publisher is None or not accepted:
        return
    now = utc_now()
    for command in commands:
        if command.command in accepted and now < command.expires_at:
            publisher.commanded(push_of(command))


def signal(context: Context, state: SessionState, item: SignalItem) -> None:
    """Show a signal to all who watch, here and at other gateways, and keep it for watchers that join later."""
    if state.is_fenced(item.publisher):
        return
    state.signalled(item.key, item.payload, state.record.epoch)
    if state.audience is not None:
        state.audience.signalled(item.key, item.payload)
    context.observer.signalled(state, item.key, item.payload)


def report_amendment(context: Context, state: SessionState, *, ours: bool = True) -> None:
    """Report a change of the session other than its status, and show the session to all who watch it.

    `ours`: this gateway has just stored the change, so that the other gateways are told to look.
    """
    if state.audience is not None:
        state.audience.session_changed(state.session())
    context.observer.amended(state, ours=ours)


def fence(context: Context, state: SessionState, epoch: int) -> None:
    """Close the publisher here: a newer one has claimed the session at another gateway, with this epoch."""
    publisher = state.fence(epoch)
    if publisher is not None:
        publisher.superseded()
        context.observer.taken_over()
    _log.info("session %r: superseded by epoch %d at another gateway", state.session_id, epoch)
