"""The wire shapes of webhooks."""
