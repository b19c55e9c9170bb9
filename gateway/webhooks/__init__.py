"""Webhooks: tell other services over HTTP what has happened to sessions."""
