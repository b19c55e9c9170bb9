"""Load programs, and the floors to compare with: the cost of the same work without the gateway."""
