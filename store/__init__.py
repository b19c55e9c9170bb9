"""Sessions and their event logs in MongoDB, and the embedded database that stands in for one."""
