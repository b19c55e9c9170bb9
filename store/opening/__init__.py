"""Checks before a database is opened: its server, and the format of the stored data."""
