"""The commands that use a running gateway as clients, and those that need none."""
