"""The import of past calls: the shapes of their lines, and their times."""
