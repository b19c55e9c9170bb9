"""However many ask for the figures of long sessions, one thread computes them: each more would delay acks."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import cast

from turnwire.gateway.live.conversing import measured
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.talk.percentiles import LONG


class LongConversation:
    def __len__(self) -> int:
        return LONG

    def frozen(self) -> LongConversation:
        return self


async def test_figures_of_long_conversations_are_computed_one_after_the_other() -> None:
    at_it: list[int] = []
    lock = threading.Lock()

    def measure(_conversation: Conversation) -> bool:
        alone = lock.acquire(blocking=False)
        for _ in range(100):
            os.sched_yield()
        if alone:
            lock.release()
        at_it.append(threading.get_ident())
        return alone

    conversation = cast("Conversation", LongConversation())
    assert all(await asyncio.gather(*(measured(conversation, measure) for _ in range(20))))
    assert len(at_it) == 20
    assert at_it[0] != threading.get_ident()


async def test_a_long_conversation_that_nobody_needs_any_more_is_freed_in_the_thread() -> None:
    conversation = spoken(LONG)
    assert await measured(conversation, len) == LONG
    assert len(conversation) == LONG, "it is still needed"
    assert await measured(conversation, len, is_needed=False) == LONG
    assert len(conversation) == 0


def spoken(utterances: int) -> Conversation:
    conversation = Conversation()
    for seq in range(1, utterances + 1):
        conversation.take(seq, "user_speech", {"text": "hello"}, seq * 1000)
    return conversation
