"""Load programs, and the floors to compare with: what the same work costs without the gateway."""
