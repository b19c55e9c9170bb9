"""`python -m turnwire.gateway` is `turnwire`."""

from __future__ import annotations

from turnwire.__main__ import main

main()
