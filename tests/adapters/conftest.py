"""The tests in `frameworks` need the frameworks: `make adapters` runs them, each in an environment of its own."""

collect_ignore = ["frameworks"]
