"""The paths of files that frameworks load."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PATHS: Final = {"pipecat": Path(__file__).parent / "pipecat/setup_file.py"}
"""Framework → path. For Pipecat, it is the file for PIPECAT_SETUP_FILES."""
