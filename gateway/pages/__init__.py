"""The HTML pages: dashboard and API reference."""
