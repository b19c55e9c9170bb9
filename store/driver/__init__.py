"""What surrounds the driver: the threads that it works in, and what it notices by itself."""
