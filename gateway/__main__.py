"""`python -m turnwire.gateway` is `turnwire`."""

from __future__ import annotations

from turnwire.cli import main

main()
