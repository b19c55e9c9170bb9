"""Files of this installation that a framework loads by their paths."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PATHS: Final = {"pipecat": Path(__file__).parent / "pipecat/setup_file.py"}
"""By the framework. Of Pipecat, it is the file for PIPECAT_SETUP_FILES."""
