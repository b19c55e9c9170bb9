"""Commands to a bot: their messages, and their events in the log."""
