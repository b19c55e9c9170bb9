"""One connection to a gateway: opened, kept, told of, and opened again."""
