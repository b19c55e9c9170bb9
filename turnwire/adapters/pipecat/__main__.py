"""`python -m turnwire.adapters.pipecat` prints what `turnwire path pipecat` does."""

from __future__ import annotations

from turnwire.adapters.paths import PATHS

print(PATHS["pipecat"])
