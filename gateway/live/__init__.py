"""A session in memory: its inbox, its task, and its log."""
