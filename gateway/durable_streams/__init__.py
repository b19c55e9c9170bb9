"""The Durable Streams protocol, in JSON mode: a session is a stream, and each event an item of it."""
