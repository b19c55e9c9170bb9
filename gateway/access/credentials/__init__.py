"""Credentials: API keys, secrets, key sets and revocations to check them by, and minting tokens."""
