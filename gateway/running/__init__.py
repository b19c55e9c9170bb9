"""Running a gateway process: wiring, start and stop."""
