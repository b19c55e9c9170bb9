"""The surroundings of the driver: the threads that it works in, and the troubles that it notices by itself."""
