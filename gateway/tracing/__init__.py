"""Traces by OpenTelemetry: of requests, of commits and of calls. Only `switch` is imported while they are off."""
