"""The embedded database: a process of its own, on a data directory of its own."""
