"""A process that serves: wiring, start and stop."""
