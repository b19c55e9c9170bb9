"""Webhook endpoints, and how far each of them has been told."""
