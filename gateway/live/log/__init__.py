"""A live session's log: what is known of it, and how events come into it."""
