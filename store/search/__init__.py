"""The search index: a projection of sessions and of what was said in them, in SQLite. It can be rebuilt from the
log."""
