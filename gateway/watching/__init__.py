"""Delivers the events and changes of sessions to all who watch."""
