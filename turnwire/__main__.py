"""`python -m turnwire` is `turnwire`."""

from __future__ import annotations

from turnwire.cli import main

main()
