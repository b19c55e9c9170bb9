"""Sessions and their event logs in MongoDB, or in the embedded database that takes its place."""
