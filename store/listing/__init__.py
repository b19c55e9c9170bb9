"""Pages of session documents: what is asked for, the indexes that serve it, and how they are read."""
