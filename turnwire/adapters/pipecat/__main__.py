"""`python -m turnwire.adapters.pipecat`: print the same path as `turnwire path pipecat`."""

from __future__ import annotations

from turnwire.adapters.paths import PATHS

print(PATHS["pipecat"])
