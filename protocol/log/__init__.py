"""The log of one session, as far as both its writer and its store must agree about it."""
