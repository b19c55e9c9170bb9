"""The command `turnwire`, also `python -m turnwire`. If a package is missing, it says what to install."""

from __future__ import annotations

import sys
from typing import Final

_OF_THE_COMMANDS: Final = {"rich", "typer", "uvloop"}
"""Packages of the extra `cli`. Any other missing package belongs to `server`."""


def main() -> None:
    """Run the command line. If a package is missing, exit with status 1 and name the extra to install."""
    if sys.argv[1:] == ["path", "pipecat"]:  # must work where only the client is installed, as beside a bot
        from turnwire.adapters.paths import PATHS  # noqa: PLC0415 -- nothing else needs it

        print(PATHS["pipecat"])
        return
    try:
        from turnwire.cli import app  # noqa: PLC0415 -- needs typer, which the client library does not

        app(prog_name="turnwire")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "turnwire"):
            raise
        extra = "cli" if missing in _OF_THE_COMMANDS else "server"
        sys.exit(f"turnwire: {missing} is needed and is not installed; run: pip install 'turnwire[{extra}]'")


if __name__ == "__main__":
    main()
