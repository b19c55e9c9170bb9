"""Runs a mapper over a script, at the script's own times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.adapters.recorder import Recorder
from turnwire.adapters import deliver


class Clock:
    """Seconds of a call, as Unix time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return 1_766_000_000.0 + self.seconds


def mapped(mapper: Any, clock: Clock, script: Iterable[tuple[float, Any]]) -> Recorder:
    """Return what the mapper makes of the messages, each mapped at its second."""
    recorder = Recorder()
    for seconds, message in script:
        clock.seconds = seconds
        deliver(recorder, mapper.events(message))
    return recorder
