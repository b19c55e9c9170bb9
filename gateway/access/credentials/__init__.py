"""What credentials are judged by: API keys, secrets, key sets, revocations; and making tokens."""
