"""`python -m gateway` is `turnwire`."""

from __future__ import annotations

from gateway.cli import main

main()
