"""The part of the TypeScript client that the dashboard uses: `python -m tests.typescript.vendored` makes it anew."""

from __future__ import annotations

import re
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT
from tests.typescript.node import bundled

FOLDER: Final = ROOT / "gateway" / "static" / "vendor"
FILE: Final = FOLDER / "turnwire.js"


def make() -> bytes:
    """Return the file as the build makes it now."""
    with tempfile.TemporaryDirectory() as folder:
        return bundled(Path(folder), "watching/connection.ts").read_bytes()


def write() -> None:
    """Write the file, and its SHA-256 into the note beside it."""
    FILE.write_bytes(made := make())
    notes = FOLDER / "README.md"
    line = rf"^[0-9a-f]{{64}}  {re.escape(FILE.name)}$"
    notes.write_text(re.sub(line, f"{sha256(made).hexdigest()}  {FILE.name}", notes.read_text(), flags=re.MULTILINE))


if __name__ == "__main__":
    write()
