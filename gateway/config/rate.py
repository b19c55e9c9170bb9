"""A rate, as written in a setting."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PER_SECOND: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/([0-9]{1,9})")
_PER_MINUTE: Final = re.compile(r"([0-9]{1,9})/min")


class Rate(NamedTuple):
    """A rate per second in the long run, and a burst after a pause."""

    per_second: float
    burst: int

    @property
    def is_off(self) -> bool:
        return self.per_second <= 0 or self.burst <= 0


OFF: Final = Rate(0, 0)


def parse_rate(text: str) -> Rate:
    """Return the rate in `text`. Raises ValueError.

    `500/2000` means 500 per second with bursts of 2000; `10/min` means 10 per minute, possibly all at once; `0` means
    no limit.
    """
    if text.strip() == "0":
        return OFF
    if (minute := _PER_MINUTE.fullmatch(text.strip())) is not None:
        return Rate(int(minute[1]) / 60, int(minute[1]))
    if (second := _PER_SECOND.fullmatch(text.strip())) is not None:
        rate = Rate(float(second[1]), int(second[2]))
        return OFF if rate.is_off else rate
    raise ValueError("must be PER_SECOND/BURST such as 500/2000, a number per minute such as 10/min, or 0 for no limit")
