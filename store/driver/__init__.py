"""The surroundings of the driver: its threads, the connections that it lends for commits, and the troubles that it
notices by itself."""
