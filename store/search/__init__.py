"""The search index: sessions, and what was said in them, in SQLite. It can be rebuilt from the
log."""
