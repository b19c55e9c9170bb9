"""Load programs, and the floors they are compared with: what the same work costs with nothing of ours in it."""
