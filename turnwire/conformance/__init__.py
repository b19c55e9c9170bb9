"""A gateway that is played to somebody's client, to find out what the client does wrong."""
