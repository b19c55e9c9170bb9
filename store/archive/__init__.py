"""The archive in an object store: the logs of sessions that have left the database, and reading from them."""
