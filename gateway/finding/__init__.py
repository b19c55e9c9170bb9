"""Finding past sessions: feeding the search, and asking it."""
