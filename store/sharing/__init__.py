"""Shares of what is scarce."""
