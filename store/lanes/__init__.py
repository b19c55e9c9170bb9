"""How many small writes become few large ones, and each still gets its own answer."""
