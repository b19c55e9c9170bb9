"""What keeps the stored sessions: backups of them, and their retention."""
