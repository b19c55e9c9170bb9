"""Connections to a gateway: opening them, keeping them alive, and opening them again."""
