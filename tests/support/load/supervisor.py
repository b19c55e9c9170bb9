"""A supervisor that requests one command after another from a bot by REST, each repeatedly until it has ended."""

from __future__ import annotations

import asyncio
import time
from random import Random

import aiohttp
import msgspec

from tests.support.history import CommandAsked, History, content_of
from tests.support.load.client import Target
from tests.support.load.obedience import COMMAND
from turnwire.protocol.bodies import CommandAnswer, CommandIn
from turnwire.protocol.codec import JSON

TTL_SECONDS = (1.0, 15.0)
_HEADERS = {"Content-Type": "application/json"}
_NOT_NOW = {409, 429, 502, 503}
"""The answer 409 means that no bot is connected."""
_UNKNOWN = {502, 503}
_PAUSE_SECONDS = 0.2


class Supervisor:
    """The supervisor of one session. The answers that it gets are recorded in the history."""

    def __init__(self, http: aiohttp.ClientSession, target: Target, history: History, random: Random) -> None:
        self._http = http
        self._target = target
        self._history = history
        self._random = random
        self._over = asyncio.Event()

    def finish(self) -> None:
        """Request no more commands. `run` returns when the requested ones have ended."""
        self._over.set()

    async def run(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            await self._settle(f"c-{self._history.session_id}-{number}", number)
            await asyncio.sleep(self._random.uniform(0.1, 1.0))

    async def _settle(self, command_id: str, number: int) -> None:
        ttl, payload = self._random.uniform(*TTL_SECONDS), {"text": f"hint {number}"}
        asked = CommandAsked(command_id, content_of(COMMAND, payload), time.time() + ttl)
        self._history.asked.append(asked)
        body = JSON.encode(CommandIn(command_id, COMMAND, payload, ttl_ms=int(ttl * 1000)))
        is_open = False
        while is_open or asked.answered_at is not None or not self._over.is_set():
            answer, is_open = await self._ask(body)
            if answer is not None:
                asked.answered_at = asked.answered_at or time.time()
                final = answer.state not in ("requested", "accepted")
                asked.settled |= final and answer.state != "expired"
                if final:
                    return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, body: bytes) -> tuple[CommandAnswer | None, bool]:
        """Request a command. Return None if there was no answer and it may be repeated, and whether the command may be
        in the log by now, and so may end there. Raises AssertionError for an answer that should not come."""
        url = f"{self._target.choose().url}/sessions/{self._history.session_id}/commands"
        try:
            async with asyncio.timeout(30), self._http.post(url, data=body, headers=_HEADERS) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None, True
        assert response.status in {202, *_NOT_NOW}, f"{response.status} {content[:300]!r}"
        if response.status != 202:
            return None, response.status in _UNKNOWN
        return msgspec.json.decode(content, type=CommandAnswer), True
