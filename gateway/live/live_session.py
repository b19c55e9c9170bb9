"""A live session: everything that changes it goes through its inbox and is done by its one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from turnwire.gateway.live.advancing import signal
from turnwire.gateway.live.amending import adopt_figures, amend
from turnwire.gateway.live.appending import append
from turnwire.gateway.live.catching_up import adopt_found, renew
from turnwire.gateway.live.claiming import claim
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.ending import abandon, end
from turnwire.gateway.live.erasing import erase, forget
from turnwire.gateway.live.grace import begin_grace, forget_timer
from turnwire.gateway.live.inbox import Inbox
from turnwire.gateway.live.instructing import instruct
from turnwire.gateway.live.items import (
    AbandonItem,
    AcceptItem,
    AmendItem,
    AppendItem,
    ArchiveItem,
    BeatItem,
    ClaimItem,
    CommandItem,
    DepartItem,
    EndItem,
    EraseItem,
    ExpireItem,
    FiguresItem,
    FoundItem,
    Item,
    LapseItem,
    OutcomeItem,
    RenewItem,
    SignalItem,
    reject,
)
from turnwire.gateway.live.log.sealing import seal
from turnwire.gateway.live.parties import Sender
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import (
    CloseCode,
    ErrorCode,
    NoSuchSession,
    Overloaded,
    SessionErased,
    StorageUnavailable,
    TurnwireError,
)
from turnwire.store.on_demand import OnDemandTask
from turnwire.store.sessions import SessionRecord

_log = logging.getLogger("turnwire.session")


class LiveSession:
    """A session in memory, its inbox, and its task, which alone changes the session's record."""

    __slots__ = ("_context", "_holds", "_inbox", "_task", "state")

    def __init__(self, context: Context, record: SessionRecord) -> None:
        self._context = context
        self.state = SessionState(record, context.clock())
        self._holds = 0
        self._inbox = Inbox()
        self._task = OnDemandTask(context.task_context(self.state))
        if record.ended_at is not None:
            begin_grace(self.state, record.ended_at, context.end_grace)

    @property
    def session_id(self) -> str:
        return self.state.record.session_id

    @property
    def waiting_events(self) -> int:
        return self._inbox.waiting

    @property
    def waiting_bytes(self) -> int:
        return self._inbox.waiting_bytes

    @property
    def idle(self) -> bool:
        """Whether the session may leave memory: nobody uses it, and all of it is stored."""
        state = self.state
        at_work = self._holds or self._inbox or self._task.running or state.log.full_pages
        wanted = state.publisher or state.audience or state.deserted or state.commands is not None
        return not (wanted or state.unwritten or at_work)

    @contextmanager
    def held(self) -> Iterator[SessionState]:
        """Keep the session in memory while the block lasts."""
        self._holds += 1
        try:
            yield self.state
        finally:
            self._holds -= 1
            self.state.last_used = self._context.clock()

    def submit(self, item: Item) -> None:
        """Put an item into the inbox. Raises Overloaded if too many items other than events and signals wait."""
        self.state.last_used = self._context.clock()
        self._inbox.put(item)
        if isinstance(item, AppendItem):
            self._context.waiting.size += item.weight
        self._task.wake(self._work)

    def release(self, publisher: Sender) -> None:
        """Note that the publisher's connection has ended."""
        state = self.state
        if state.publisher is publisher:
            state.publisher = None
            if state.interims is not None:
                state.hush()
                self._context.observer.silenced(state, publisher.epoch)
            state.last_active = state.last_used = self._context.clock()
            held = self._context.shared_database and not state.ended
            if held or state.commands is not None or state.record.commands is not None:
                with suppress(Overloaded):  # the next claim clears the accepted commands, too
                    self.submit(DepartItem(publisher.epoch))

    async def stop(self) -> None:
        """End the task, and answer the items that wait with StorageUnavailable."""
        forget_timer(self.state)
        await self._task.stop()
        left = self._inbox.clear()
        self._forget_weight(left)
        _fail(left, StorageUnavailable("the gateway is going away; try again"))

    # --- the task ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        state = self.state
        while self._inbox:
            taken = self._inbox.take()
            items = taken if isinstance(taken, list) else [taken]
            state.busy_since = self._context.clock()
            try:
                if state.erased:
                    raise SessionErased(self.session_id)
                if isinstance(taken, list):
                    await append(self._context, state, taken)
                else:
                    await self._step(taken)
            except SessionErased as error:
                forget(self._context, state, here=False)
                _fail(items, error)
            except TurnwireError as error:
                _fail(items, error)
            except asyncio.CancelledError:
                _fail(items, StorageUnavailable())
                raise
            except Exception:
                _log.exception("session %r: unexpected error", self.session_id)
                self._give_up(items)
            finally:
                state.busy_since = None
                self._forget_weight(items)

    def _forget_weight(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, AppendItem):
                self._context.waiting.size -= item.weight

    async def _step(self, item: Item) -> None:
        context, state = self._context, self.state
        match item:
            case SignalItem():
                signal(context, state, item)
            case EndItem():
                await end(context, state, item)
            case ClaimItem():
                await claim(context, state, item)
            case EraseItem():
                await erase(context, state, item)
            case ArchiveItem():
                await seal(context, state, item)
            case AbandonItem():
                await abandon(context, state, item)
            case BeatItem():
                state.beat()
                context.observer.unwritten(state)
            case RenewItem():
                await renew(context, state, item)
            case FoundItem():
                await adopt_found(context, state, item)
            case AcceptItem() | DepartItem() | LapseItem() | CommandItem() | OutcomeItem() | ExpireItem():
                await instruct(context, state, item)
            case FiguresItem():
                adopt_figures(context, state, item)
            case AmendItem():
                await amend(context, state, item)

    def _give_up(self, items: Sequence[Item]) -> None:
        """Recover from an unexpected error: forget what is known of the log, fail the items, close the publisher."""
        self.state.log.forget()
        _fail(items, TurnwireError(ErrorCode.INTERNAL, "the gateway failed; try again"))
        if self.state.publisher is not None:
            self.state.publisher.close(CloseCode.INTERNAL, "the gateway failed; reconnect")


def _fail(items: Sequence[Item], error: TurnwireError) -> None:
    """Answer the items with the error. A publisher whose events or end have no future to fail is closed."""
    for item in items:
        done = getattr(item, "done", None)
        if done is not None:
            reject(done, error)
        elif isinstance(item, AppendItem | EndItem) and item.publisher is not None:
            code = CloseCode.NOT_FOUND if isinstance(error, NoSuchSession) else CloseCode.TRY_LATER
            item.publisher.close(code, error.message)
