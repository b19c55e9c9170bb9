"""A projection of sessions and of what was said in them, in SQLite, to find them by. The log can rebuild it."""
