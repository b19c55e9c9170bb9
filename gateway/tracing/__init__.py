"""OpenTelemetry traces of requests, commits and calls. While traces are off, only `switch` is imported."""
