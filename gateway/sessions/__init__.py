"""All sessions of this gateway: opens, finds, evicts and recovers them."""
