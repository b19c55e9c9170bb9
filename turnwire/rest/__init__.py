"""Requests to a gateway, and the shapes of what they ask and answer."""
