"""The commands that use a running gateway, as its clients do."""
