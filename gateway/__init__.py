"""The Turnwire gateway: publishers, subscribers and REST clients on one aiohttp server."""
