"""Combining many small writes into few large ones, each of which still gets its own answer."""
