"""All sessions of this gateway: opened, found, evicted, recovered."""
