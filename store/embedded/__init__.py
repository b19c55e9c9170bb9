"""The embedded database: a child process with its own data directory."""
