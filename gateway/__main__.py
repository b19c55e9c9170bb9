"""Runs the command `turnwire` for `python -m turnwire.gateway`."""

from __future__ import annotations

from turnwire.__main__ import main

main()
