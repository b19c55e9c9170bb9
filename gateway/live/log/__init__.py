"""A live session's log: what is known of it, and how events are written to it."""
