"""One session in memory: its inbox, its one task, its hold on the log."""
