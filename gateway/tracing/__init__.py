"""Traces by OpenTelemetry: of requests, of commits and of calls. Imported only if `TURNWIRE_TRACING` is on."""
