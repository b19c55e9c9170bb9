"""Communication between the gateways that share a database."""
