"""The parts of a publisher: its outbox, the file that backs it, its connections, and its start and end."""
