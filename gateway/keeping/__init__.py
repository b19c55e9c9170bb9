"""Backups of the stored sessions, and their retention."""
