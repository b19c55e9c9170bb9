"""The two WebSocket endpoints."""
