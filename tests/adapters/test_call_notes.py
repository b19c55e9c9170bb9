"""What all adapters use to write: times, states, ids, and one warning for a publisher that takes nothing more."""

from __future__ import annotations

import logging
import uuid
from typing import Any, Never

import pytest

from tests.adapters.mapping import Clock
from tests.adapters.recorder import Recorder
from turnwire import errors
from turnwire.adapters import Hint, deliver
from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.gateway_url import gateway_url
from turnwire.adapters.mapped import Collected, stable_id
from turnwire.adapters.session_ids import new_session_id
from turnwire.adapters.turn_counter import TurnCounter
from turnwire.protocol.messages import EventIn


class Closed(Recorder):
    """A publisher whose session has ended."""

    def post(self, *_: Any, **__: Any) -> Never:
        raise errors.PublisherClosed("it is over")

    def hint(self, *_: Any, **__: Any) -> Never:
        raise errors.PublisherClosed("it is over")


def test_call_notes_give_times_in_milliseconds_of_the_call_and_never_negative_ones() -> None:
    clock, told = Clock(), Recorder()
    notes = CallNotes(told, clock=clock)
    notes.said("user", "Hi", started=clock() - 1, ended=clock() + 1.2345)
    assert told.payloads("user_speech") == [{"text": "Hi", "startedMs": 0, "endedMs": 1234}]


def test_a_speaker_state_is_noted_only_when_it_changes() -> None:
    told = Recorder()
    notes = CallNotes(told)
    notes.state("bot", "speaking")
    notes.state("bot", "speaking")
    notes.state("user", "speaking")
    notes.state("bot", "listening")
    assert [payload["state"] for payload in told.payloads("bot.state")] == ["speaking", "listening"]


def test_a_publisher_that_takes_nothing_more_logs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    notes = CallNotes(Closed())
    with caplog.at_level(logging.WARNING, "turnwire"):
        notes.said("user", "Hi")
        notes.note("error")
        notes.heard_so_far("user", "H")
    assert [record.getMessage() for record in caplog.records] == ["an event was not queued: it is over"]


def test_turn_numbers_rise_with_each_user_utterance() -> None:
    turns = TurnCounter()
    assert turns.current == 0
    turns.user_begins()
    turns.user_begins()
    assert (turns.current, turns.user_has_said()) == (1, 1)
    assert turns.user_has_said() == 2


def test_stable_ids_depend_only_on_their_parts() -> None:
    assert stable_id("a", {"b": 1, "c": 2}) == stable_id("a", {"c": 2, "b": 1})
    assert len({stable_id("a", 1), stable_id("a", "1"), stable_id("a", 1, None), stable_id("a1")}) == 4
    assert stable_id("a", 1_766_000_001_000) == stable_id("a", 1_766_000_001_000.0) != stable_id("a", 1.5)


def test_collected_events_and_hints_are_delivered_unchanged() -> None:
    collected, told = Collected(), Recorder()
    event_id = collected.post("system", {"event": "x"}, timestamp="2025-12-21T10:30:00.000Z")
    collected.hint("user_speech", {"text": "H"})
    items = collected.take()
    assert collected.take() == []
    deliver(told, items)
    assert told.items == items
    assert isinstance(items[0], EventIn)
    assert (items[0].event_id, items[1]) == (event_id, Hint("user_speech", {"text": "H"}))


def test_new_session_ids_are_version_7_uuids_ordered_by_time() -> None:
    ids = [new_session_id() for _ in range(100)]
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert len(set(ids)) == len(ids)
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


def test_the_gateway_url_comes_from_the_argument_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNWIRE_URL", "http://b")
    assert (gateway_url("http://a"), gateway_url(None)) == ("http://a", "http://b")
    monkeypatch.delenv("TURNWIRE_URL")
    with pytest.raises(ValueError, match="TURNWIRE_URL"):
        gateway_url(None)
