"""What is looked at before a database is opened: its server, and the format of what is stored."""
