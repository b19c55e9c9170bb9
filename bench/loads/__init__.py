"""What is done to a server: one module for each kind of load, run in a process of its own by `bench.load`."""
