"""The processor time of a process, which distinguishes a slow process from one that hangs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""The places of these times in `/proc/<pid>/stat`, after the name of the program."""


def worked_seconds(pid: int) -> float:
    """Return the processor time that a process has used, in seconds; 0 for one that is gone."""
    with suppress(OSError):  # the process is gone
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_A_SECOND
    return 0.0
