"""The search index: a projection of sessions and of what was said in them, in SQLite. The log can rebuild it."""
