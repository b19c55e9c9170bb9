"""Acts as the gateway for a client of the user's own, to find out what the client does wrong."""
