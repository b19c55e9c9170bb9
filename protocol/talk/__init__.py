"""Reading and measuring speech: the pure parts of `protocol.conversation`."""
