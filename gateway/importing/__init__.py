"""Imports past calls as they were."""
