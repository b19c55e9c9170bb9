"""Webhooks: what has happened to sessions, told to other services over HTTP."""
