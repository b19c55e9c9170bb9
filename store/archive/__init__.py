"""Sessions whose log has left the database: their archive in an object store, and reading from it."""
