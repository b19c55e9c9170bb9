"""`python die_with_parent.py PARENT_PID COMMAND …`: run COMMAND in this process, and have the kernel kill it with its
parent.

Runs as a script that imports nothing of the package, so it costs a child almost nothing. It relies on Linux
(PR_SET_PDEATHSIG, bound to the parent's thread that started the child). On other systems, COMMAND just runs.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
"""Importing `signal` for it would hold up the command for a third of what this script takes."""


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # the parent died before prctl
        sys.exit("the parent process is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
