"""Finding past sessions: what feeds the search, and what asks it."""
