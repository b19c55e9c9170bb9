"""Past calls, brought into a gateway and out of it."""
