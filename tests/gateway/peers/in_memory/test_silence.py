"""No late subscriber is shown the half sentence of a bot that is gone, at any gateway."""

from __future__ import annotations

import pytest

from tests.support.faults.bus import LossyHub, LossyLine
from tests.support.in_memory import Crowd, MemoryGateway, Seat, event, pass_time, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import SignalItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.peers.peers import Peers


@pytest.fixture
def hub() -> LossyHub:
    hub = LossyHub(1)
    hub.calm()
    return hub


class Pair:
    """A session with a bot at one gateway that is watched at another one."""

    def __init__(self, here: MemoryGateway, there: MemoryGateway, line: LossyLine) -> None:
        """`line`: that of the gateway with the bot."""
        self.here, self.there, self.line = here, there, line

    async def begin(self) -> Pair:
        for gateway in (self.here, self.there):
            gateway.start()
        await until(lambda: all(self.peers(gateway).names for gateway in (self.here, self.there)))
        self.bot_side = await self.here.create()
        self.bot = await self.here.claim(self.bot_side)
        self.watched = await self.there.open()
        self.watched.state.audience = Crowd()
        self.peers(self.there).watch_changed(self.watched.state)
        await until(lambda: self.peers(self.here).is_watched("s"))
        return self

    @staticmethod
    def peers(gateway: MemoryGateway) -> Peers:
        assert gateway.parts.peers is not None
        return gateway.parts.peers

    async def say(self, text: str) -> None:
        self.bot_side.submit(SignalItem(self.bot, "user", {"text": text}))
        await until(lambda: spoken(self.watched) == text)


def spoken(live: LiveSession) -> object:
    """Return what a watcher that joins now is shown as being said."""
    interims = live.state.interims
    return None if interims is None else interims.kept.get("user", {}).get("text")


@pytest.fixture
async def pair(join: StartMemory, hub: LossyHub) -> Pair:
    line = hub.line()
    return await Pair(join(bus=line), join(bus=hub.line()), line).begin()


async def test_the_interim_text_of_a_vanished_bot_is_forgotten_at_the_other_gateways(pair: Pair) -> None:
    await pair.say("I wou")
    pair.bot_side.release(pair.bot)
    assert spoken(pair.bot_side) is None
    await until(lambda: spoken(pair.watched) is None)


async def test_a_bot_that_took_over_is_still_heard_when_the_older_one_leaves(pair: Pair) -> None:
    await pair.say("I wou")
    older, pair.bot = pair.bot, await pair.here.claim(pair.bot_side, Seat())
    assert spoken(pair.bot_side) is None
    await pair.say("Hello")
    pair.bot_side.release(older)
    await pass_time(1)
    assert spoken(pair.bot_side) == spoken(pair.watched) == "Hello"


async def test_interim_texts_are_forgotten_with_the_gateway_that_reported_them(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publish(_letters: object) -> None:
        """Lose everything, as when the machine is gone."""

    await pair.say("I wou")
    monkeypatch.setattr(pair.line, "publish", publish)
    await until(lambda: spoken(pair.watched) is None)


async def test_interim_texts_are_forgotten_while_the_bus_is_away(pair: Pair, hub: LossyHub) -> None:
    await pair.say("I wou")
    for line in tuple(hub.lines):
        line.cut()
    await until(lambda: spoken(pair.watched) is None)


async def test_a_stored_utterance_replaces_what_was_being_said(pair: Pair) -> None:
    await pair.say("I wou")
    await pair.here.append(pair.bot_side, event("a"))
    await until(lambda: pair.watched.state.record.last_seq == 1)
    assert spoken(pair.watched) is None
