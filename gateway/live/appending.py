"""Appends events to a session: decides, stores, shows them to all who watch, and answers their senders."""

from __future__ import annotations

from functools import partial

from turnwire.gateway.live.advancing import advance, fence
from turnwire.gateway.live.catching_up import give_way, is_stale, refresh, verify
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import adopt_end
from turnwire.gateway.live.items import AppendItem, is_answered
from turnwire.gateway.live.log import log_writer
from turnwire.gateway.live.log.append_round import AppendRound
from turnwire.gateway.live.log.contest import Contest
from turnwire.gateway.live.rolling_back import make_sure, roll_back
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import LogRolledBack, SessionHasEnded
from turnwire.protocol.rules import Ledger


async def append(context: Context, state: SessionState, appends: list[AppendItem]) -> None:
    """Write the events of these appends to the log and answer their senders.

    Drops the appends of a fenced publisher, whose connection is closed, and of a REST client that no longer waits.

    An append with a condition comes alone. Its events are stored directly after the log that the condition has
    checked. So the condition holds across gateways, because a position can be taken only once.
    """
    condition = appends[0].condition
    if is_stale(context, state):
        await refresh(context, state)
    elif context.shared_database and any(each.publisher is None for each in appends):
        await verify(context, state)  # a publisher knows which session it has; REST means the session that exists now
    if state.way_until:
        await give_way(context, state)
    contest = Contest(context, state)
    while appends := [each for each in appends if _is_wanted(state, each)]:
        if condition is not None:
            await condition(state.record)
        ledger = await log_writer.load_ledger(context.store, state)
        round_ = await _decide(context, state, ledger, appends)
        if round_ is None:
            continue
        weight, needed = 0, False
        for each in appends:
            weight += each.weight
            needed |= each.done is not None
        try:
            durable = await contest.commit(ledger, weight, behind_head=condition is not None)
        except LogRolledBack:
            await roll_back(context, state)
            continue
        answer = partial(round_.answer, durable=durable)
        if durable.record is None:
            advance(context, state, durable, answer, needed=needed)
        else:
            events = advance(context, state, durable, needed=needed)
            adopt_end(context, state, durable.record)
            if durable.record.epoch > state.record.epoch:
                fence(context, state, durable.record.epoch)
                continue
            if condition is not None and durable.foreign:
                continue
            answer(events)
        _tell(context, state, round_, appends[0])
        return


def _is_wanted(state: SessionState, item: AppendItem) -> bool:
    """Return whether the publisher of this append is not fenced and its REST client, if any, still waits."""
    return not state.is_fenced(item.publisher) and not is_answered(item.done)


async def _decide(
    context: Context, state: SessionState, ledger: Ledger, appends: list[AppendItem]
) -> AppendRound | None:
    """Decide about the events. Return None if the log has turned out to have lost its end: what was known of it no
    longer holds."""
    round_ = AppendRound(ledger, state.session_id, context.max_session_events)
    if state.takes_events and round_.admit_plain(appends):
        return round_
    if not await make_sure(context, state):  # else events that are gone would be answered as stored before
        return None
    stored = await log_writer.read_stored(context.store, state.session_id, round_.candidates(appends))
    ended = None if state.takes_events else SessionHasEnded(state.session_id, state.session().ended_at)
    round_.admit(appends, stored, ended)
    return round_


def _tell(context: Context, state: SessionState, round_: AppendRound, first: AppendItem) -> None:
    seconds = None if first.publisher is None else context.clock() - first.taken_at
    context.observer.round_answered(round_.duplicates, round_.refused, seconds)
    state.log.fold()
    if state.log.full_pages:
        context.observer.unwritten(state)
