"""Past calls that are brought in: the shapes of their lines, and their times."""
