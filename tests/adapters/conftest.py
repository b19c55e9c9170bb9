"""The tests in `frameworks` need the frameworks. `make adapters` runs each of them in its own environment."""

collect_ignore = ["frameworks"]
