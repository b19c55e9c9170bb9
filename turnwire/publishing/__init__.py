"""What stands behind a publisher: its events on their way, the file that keeps them, and its life."""
