"""Moving past calls into a gateway and out of it."""
