"""Commands to a bot: their messages, and how they stand in the log."""
