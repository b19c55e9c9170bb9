"""Reads of sessions by their start hold the event loop for a few documents at a time."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tests.support.passes import Passes
from turnwire.store.listing.windows import Windows


class _Cursor:
    """A cursor over numbers."""

    def __init__(self, count: int) -> None:
        self._count = count

    def sort(self, *_: object) -> _Cursor:
        return self

    limit = batch_size = sort

    async def to_list(self, length: int | None) -> list[int]:
        return list(range(self._count))


class _Sessions:
    def __init__(self, passes: Passes, count: int) -> None:
        self._passes, self._count = passes, count

    def find(self, _: object) -> _Cursor:
        return _Cursor(self._count)

    def of(self, document: int) -> int:
        self._passes.done()
        return document


class _Condition:
    async def ask(self, _: str, answer: Awaitable[Any]) -> Any:
        return await answer


async def test_thousands_of_sessions_of_the_same_moment_are_looked_at_a_few_in_each_pass() -> None:
    passes = Passes()
    sessions: Any = _Sessions(passes, 2050)
    condition: Any = _Condition()
    with passes:
        found: list[Any] = await Windows(sessions, condition).read({}, limit=0)
    assert found == list(range(2050))
    assert passes.most == 100
