"""The ledger of a session's eventIds, compared with the simplest model: a list."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any
from unittest import TestCase
from unittest.mock import patch

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.property.wire_values import search
from turnwire.protocol import rules
from turnwire.protocol.log.event_digests import event_digests
from turnwire.protocol.messages import Event, EventIn
from turnwire.protocol.rules import Admitted, Duplicate, Ledger

PAGE = 4
names = st.sampled_from([f"e{n}" for n in range(12)])
payloads = st.sampled_from([{}, {"n": 1}, {"n": 1.0}])


def few_bits(event_ids: Iterable[str]) -> array[int]:
    """Digests that many ids share."""
    return array("Q", [digest & 3 for digest in event_digests(event_ids)])


class LedgerModel(RuleBasedStateMachine):
    """`log` is what is durable, in order; `mine` is what the ledger admitted and the log does not have yet."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.log: list[EventIn] = []
        self.mine: list[EventIn] = []
        self.folded: list[bytes] = []
        self.patches: list[Any] = [patch.object(rules, "DIGEST_PAGE", PAGE)]

    @initialize(collide=st.booleans())
    def start(self, collide: bool) -> None:
        if collide:
            self.patches.append(patch.object(rules, "event_digests", few_bits))
        for each in self.patches:
            each.start()

    def teardown(self) -> None:
        for each in self.patches[::-1]:
            each.stop()

    def stored(self, event_id: str) -> dict[int, Event]:
        return {
            seq: Event(at.event_id, "s", at.type, at.payload, "2025-12-21T10:30:00.000Z", seq)
            for seq in self.ledger.candidates(event_id)
            for at in [self.log[seq - 1]]
        }

    def is_durable(self, name: str) -> bool:
        return any(event.event_id == name for event in self.log)

    @rule(name=names, payload=payloads)
    def admit(self, name: str, payload: dict[str, object]) -> None:
        event = EventIn(name, "system", payload)
        expected: Admitted | Duplicate = Admitted(len(self.log) + len(self.mine) + 1)
        for seq, known in enumerate(self.log + self.mine, start=1):
            if known.event_id == name:
                expected = Duplicate(seq, same=repr(known.payload) == repr(payload))
        assert self.ledger.admit(event, self.stored(name)) == expected
        if isinstance(expected, Admitted):
            self.mine.append(event)

    @rule()
    def settle(self) -> None:
        self.ledger.learn_pending()
        self.log += self.mine
        self.mine = []

    @rule(count=st.integers(1, 3))
    def learn_ours(self, count: int) -> None:
        """The store accepted the first of them before it refused one."""
        for event in self.mine[:count]:
            self.log.append(event)
            self.ledger.learn(len(self.log), event.event_id)
        self.mine = self.mine[count:]

    @rule(name=names, payload=payloads)
    def learn_of_another_writer(self, name: str, payload: dict[str, object]) -> None:
        """The next position turns out to be taken: by an unknown event, or by one that is pending here too."""
        if self.is_durable(name):
            return
        self.log.append(EventIn(name, "system", payload))
        self.ledger.learn(len(self.log), name)
        self.mine = [event for event in self.mine if event.event_id != name]

    @rule()
    def forget_pending(self) -> None:
        self.ledger.forget_pending()
        self.mine = []

    @precondition(lambda self: self.mine)
    @rule(data=st.data())
    def drop_one(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.mine))
        self.ledger.drop_pending(event.event_id)
        self.mine.remove(event)

    @rule()
    def fold(self) -> None:
        before = self.ledger.folded_pages
        pages = self.ledger.fold()
        assert self.ledger.folded_pages == before + len(pages) == len(self.log) // PAGE
        self.folded += pages

    @rule()
    def open_again(self) -> None:
        """Check that a ledger made of the kept pages and the rest of the log knows the same."""
        self.ledger = Ledger()
        for page in self.folded:
            self.ledger.add_digests(page)
        for seq in range(self.ledger.head + 1, len(self.log) + 1):
            self.ledger.learn(seq, self.log[seq - 1].event_id)
        self.mine = []

    @invariant()
    def knows_what_the_model_knows(self) -> None:
        assert self.ledger.head == len(self.log)
        assert self.ledger.next_seq == len(self.log) + len(self.mine) + 1
        assert list(self.ledger.pending()) == list(enumerate(self.mine, start=len(self.log) + 1))
        for seq, event in enumerate(self.log, start=1):
            assert seq in self.ledger.candidates(event.event_id)


LedgerModel.TestCase.settings = search(80)
TestLedgerModel: type[TestCase] = LedgerModel.TestCase
pytestmark = pytest.mark.property
