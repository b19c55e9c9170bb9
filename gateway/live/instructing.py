"""Commands to a session's bot: requested, delivered, concluded or expired. The log decides their state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.advancing import deliver, report_amendment
from turnwire.gateway.live.appending import append
from turnwire.gateway.live.catching_up import learn, refresh
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import (
    AcceptItem,
    AppendItem,
    CommandItem,
    CommandProgress,
    DepartItem,
    ExpireItem,
    LapseItem,
    OutcomeItem,
    Stored,
    resolve,
)
from turnwire.gateway.live.log.log_writer import load_ledger, read_stored
from turnwire.gateway.live.open_commands import OpenCommands
from turnwire.gateway.live.parties import Sender
from turnwire.gateway.live.rolling_back import Wanted
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.control.commands import (
    Command,
    Outcome,
    control_of,
    outcome_event,
    outcome_id,
    requested_event,
    requested_id,
)
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.errors import (
    ErrorCode,
    NotAccepted,
    SessionFull,
    SessionHasEnded,
    StorageUnavailable,
    TurnwireError,
)
from turnwire.protocol.messages import AckItem, Event, EventIn, NackItem, Session
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.session_commands import CommandMark
from turnwire.store.session_record import this_life
from turnwire.store.waiting import persist

_EVENT_BYTES = 1024
"""Estimated size of an event that the gateway writes itself, for the weight of its commit."""

Instruction = AcceptItem | DepartItem | LapseItem | CommandItem | OutcomeItem | ExpireItem


async def instruct(context: Context, state: SessionState, item: Instruction) -> None:
    """Handle an item that concerns commands."""
    match item:
        case AcceptItem():
            await _accept(context, state, item)
        case DepartItem():
            await _depart(context, state, item)
        case LapseItem():
            await _lapse(context, state)
        case CommandItem():
            await _command(context, state, item)
        case OutcomeItem():
            await _conclude(context, state, item)
        case ExpireItem():
            await _expire(context, state)


# --- the bot comes and goes ------------------------------------------------------------------------------------------


async def _accept(context: Context, state: SessionState, item: AcceptItem) -> None:
    """Note which commands the bot accepts, and deliver those that it has not answered."""
    if state.publisher is not item.publisher or state.is_fenced(item.publisher):
        return
    names = list(dict.fromkeys(item.commands)) or None
    record, before = state.record, state.record.commands
    if names != before:
        accept = context.store.sessions.commands.accept
        if not await persist(lambda: accept(this_life(record), record.epoch, names or ())):
            await refresh(context, state)  # a newer publisher has the session
            return
        record.commands = names
        report_amendment(context, state)
    if names is not None:
        deliver(state, (await _attend(context, state)).unanswered())
    _release(context, state)


async def _depart(context: Context, state: SessionState, item: DepartItem) -> None:
    """Record that the publisher has left, so that nobody holds the session or accepts commands. If the store does not
    answer now, the next claim records it."""
    record = state.record
    gone = state.publisher is None and record.epoch == item.epoch
    if gone and (record.commands is not None or record.holder is not None):
        took_commands = record.commands is not None
        record.commands = record.holder = None
        with suppress(StorageUnavailable):
            await context.store.sessions.commands.leave(this_life(record), record.epoch)
        if took_commands:
            report_amendment(context, state)  # only now, because the other gateways look into the store
    _release(context, state)


def is_unattended(context: Context, state: SessionState) -> bool:
    """Return whether the session lists commands of a bot that is gone, because its gateway crashed before it left."""
    unclaimed = state.deserted and state.record.commands is not None
    return unclaimed and context.clock() - state.last_active >= context.lapse_after


async def _lapse(context: Context, state: SessionState) -> None:
    """Forget which commands a vanished bot accepted, unless the bot shows a sign of life."""
    if context.shared_database:
        await learn(context, state, await context.store.sessions.reload(state.record))
    if not is_unattended(context, state):
        return
    record = state.record
    unchanged = {**this_life(record), "heartbeat": record.heartbeat}
    if await context.store.sessions.commands.accept(unchanged, record.epoch, ()):
        record.commands = None
        report_amendment(context, state)


async def _attend(context: Context, state: SessionState, wanted: Wanted = None) -> OpenCommands:
    """Return the open commands. If they are not in memory, read them from the log, from the stored mark on."""
    if state.commands is not None:
        return state.commands
    mark = (await persist(lambda: context.store.sessions.reload(state.record), wanted)).command_mark
    commands = OpenCommands()
    if mark is not None and mark.until > utc_now():
        head = state.record.last_seq
        for first in range(mark.first, head + 1, READ_WINDOW):
            last = min(first + READ_WINDOW - 1, head)
            commands.learn(await persist(lambda: context.store.events.read(state.session_id, first, last), wanted))  # noqa: B023 -- awaited at once
    state.commands = commands
    context.observer.attention_changed(state)
    return commands


def _release(context: Context, state: SessionState) -> None:
    """Forget the open commands if none is unanswered and no bot here accepts commands."""
    takes = state.publisher is not None and state.record.commands is not None
    if state.commands is not None and not takes and not state.commands.unanswered():
        state.commands = None
        context.observer.attention_changed(state)


# --- a command is asked for ------------------------------------------------------------------------------------------


async def _command(context: Context, state: SessionState, item: CommandItem) -> None:
    if item.done.done():
        return
    if context.shared_database:
        await refresh(context, state, item.done)
    command = item.command
    found = await _find(context, state, command)
    replayed = found is not None
    if found is None:
        _check(state, command)
        await _mark(context, state, command, item.done)
        await _attend(context, state, item.done)
        replayed = (await _write(context, state, requested_event(command))).duplicate
        found = await _find(context, state, command) or Outcome(command.command_id, "requested")
    _release(context, state)
    resolve(item.done, CommandProgress(found, replayed))


def _check(state: SessionState, command: Command) -> None:
    if state.ended:
        raise SessionHasEnded(state.session_id, state.session().ended_at)
    if command.command not in (state.record.commands or ()):
        raise NotAccepted(state.session_id, command.command)


async def _find(context: Context, state: SessionState, command: Command) -> Outcome | None:
    """Return the state of the command with this id; None if there is none.

    Raises EVENT_CONFLICT if the id belongs to a command with another name or payload.
    """
    command_id = command.command_id
    requested = await _stored(context, state, requested_id(command_id))
    if requested is None:
        return None
    known = control_of(requested)
    if not isinstance(known, Command) or not known.asks_the_same(command):
        message = f"command {command_id!r} has been asked for already, with another command or payload"
        raise TurnwireError(ErrorCode.EVENT_CONFLICT, message)
    for final in (True, False):
        event = await _stored(context, state, outcome_id(command_id, final=final))
        outcome = None if event is None else control_of(event)
        if isinstance(outcome, Outcome):
            return outcome
    if utc_now() < known.expires_at:
        return Outcome(command_id, "requested")
    return await _expired(context, state, command_id)


async def _expired(context: Context, state: SessionState, command_id: str) -> Outcome:
    """Expire the command. This is stored before anybody is told, so that no other outcome is possible."""
    outcome: Command | Outcome | None = Outcome(command_id, "expired")
    with suppress(SessionHasEnded, SessionFull):  # the log is closed, and takes no outcome from a bot either
        outcome = control_of((await _write(context, state, outcome_event(Outcome(command_id, "expired")))).event)
    assert isinstance(outcome, Outcome), "an event that a gateway has written"
    return outcome


async def _stored(context: Context, state: SessionState, event_id: str) -> Event | None:
    ledger = await load_ledger(context.store, state)
    found = await read_stored(context.store, state.session_id, set(ledger.candidates(event_id)))
    return next((event for event in found.values() if event.event_id == event_id), None)


async def _mark(context: Context, state: SessionState, command: Command, wanted: Wanted) -> None:
    """Store the seq from which the log must be read to find the command. Call this before the command is written."""
    sessions = context.store.sessions
    while True:
        known = (await persist(lambda: sessions.reload(state.record), wanted)).command_mark
        if known is not None and known.until > utc_now():
            mark = known.widened(command.expires_at)
        else:
            mark = CommandMark(state.record.last_seq + 1, command.expires_at)
        if await persist(lambda: sessions.commands.mark(this_life(state.record), known, mark), wanted):  # noqa: B023 -- awaited at once
            return


# --- what becomes of it ----------------------------------------------------------------------------------------------


async def _conclude(context: Context, state: SessionState, item: OutcomeItem) -> None:
    """Store the outcome that the bot reports, unless the command is unknown or has a final outcome already."""
    if context.shared_database:  # a newer publisher at another gateway may not have stored an event yet
        await refresh(context, state)
    if state.is_fenced(item.publisher):
        return
    if await _stored(context, state, requested_id(item.outcome.command_id)) is None:
        return
    if await _stored(context, state, outcome_id(item.outcome.command_id, final=True)) is not None:
        return
    event, seat = outcome_event(item.outcome), _Seat(item.publisher)
    now = context.clock()
    await append(context, state, [AppendItem([event], _EVENT_BYTES, utc_now(), seat, taken_at=now)])
    _release(context, state)


async def _expire(context: Context, state: SessionState) -> None:
    """Store the outcome `expired` of each command that was not answered in time."""
    if context.shared_database:
        await refresh(context, state)
    if state.commands is None:
        return
    for command in state.commands.due(utc_now()):
        outcome = Outcome(command.command_id, "expired")
        with suppress(SessionHasEnded, SessionFull):  # the log is closed, but `_find` still reports the expiry
            await _write(context, state, outcome_event(outcome))
        state.commands.conclude(outcome)
    _release(context, state)


async def _write(context: Context, state: SessionState, event: EventIn) -> Stored:
    """Append the event and return it as stored. If an event with its id is in the log already, return that one."""
    done: asyncio.Future[list[Stored]] = asyncio.get_running_loop().create_future()
    await append(context, state, [AppendItem([event], _EVENT_BYTES, utc_now(), done=done)])
    return done.result()[0]


class _Seat(Sender):
    """Stands in for a publisher while the gateway writes events for it: fenced like the publisher, and told nothing."""

    def __init__(self, publisher: Sender) -> None:
        self.epoch = publisher.epoch
        self.finished = publisher.finished
        self.holder = publisher.holder

    def may_take_from(self, holder: str) -> bool:
        return False

    def took_over(self, holder: str | None) -> None: ...
    def acked(self, acks: list[AckItem], weight: int) -> None: ...
    def replied(self, replies: Sequence[AckItem | NackItem], weight: int) -> None: ...
    def completed(self, session: Session) -> None: ...
    def commanded(self, command: CommandPush) -> None: ...
    def superseded(self) -> None: ...
    def session_ended(self, session: Session) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
