"""The kinds of load, one module for each. `bench.load` runs a load in its own process."""
