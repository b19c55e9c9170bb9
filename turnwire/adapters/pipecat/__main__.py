"""`python -m turnwire.adapters.pipecat`: what `turnwire path pipecat` prints, where only the client is installed."""

from __future__ import annotations

from pathlib import Path

print(Path(__file__).with_name("setup_file.py"))
