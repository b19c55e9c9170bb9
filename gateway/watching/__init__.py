"""From one session to all who watch it."""
