"""Open WebSockets, whatever they are for, and the set of all of them."""
