"""Clients that generators make of the gateway's documents, for `make generators`."""
